//! Whether samples can be told apart by their features: the five nearest neighbours and naive Bayes, each tried on what
//! neither has seen, and how well both do when there is nothing to learn.

/// One observation.
#[derive(Clone)]
pub struct Sample {
    /// What it is, from 0.
    pub label: usize,
    /// Which it was made together with: they are alike for reasons of their own, so none of them helps to judge another.
    pub group: usize,
    /// What can be seen of it.
    pub features: Vec<f64>,
}

/// What chance alone does.
pub struct Chance {
    /// On average.
    pub mean: f64,
    /// Rarely more: in one case of a thousand.
    pub limit: f64,
}

const NEIGHBOURS: usize = 5;

/// How often labels are shuffled to see what chance does.
const SHUFFLES: usize = 1_000;

/// How many groups are set aside at once.
const FOLDS: usize = 6;

/// How many of the samples the better of the two methods labels rightly, trained on the other groups.
pub fn accuracy(samples: &[Sample]) -> f64 {
    let labels: Vec<usize> = samples.iter().map(|sample| sample.label).collect();
    Judge::new(samples).accuracy(&labels)
}

/// Puts a list into any order (Fisher and Yates).
pub fn shuffle<T>(list: &mut [T], chance: &mut u64) {
    for last in (1..list.len()).rev() {
        *chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        list.swap(last, (*chance >> 33) as usize % (last + 1));
    }
}

/// What [`accuracy`] finds when whole groups have got each other's labels. Where the groups were made in an order drawn by
/// [`shuffle`], this is what it would find by chance, however much anything drifts with time.
pub fn by_chance(samples: &[Sample]) -> Chance {
    let judge = Judge::new(samples);
    let groups = samples.iter().map(|sample| sample.group).max().map_or(0, |last| last + 1);
    let mut of_group = vec![0; groups];
    for sample in samples {
        of_group[sample.group] = sample.label;
    }
    let mut chance = 1;
    let mut found: Vec<f64> = (0..SHUFFLES)
        .map(|_| {
            shuffle(&mut of_group, &mut chance);
            let labels: Vec<usize> = samples.iter().map(|sample| of_group[sample.group]).collect();
            judge.accuracy(&labels)
        })
        .collect();
    found.sort_by(f64::total_cmp);
    Chance { mean: found.iter().sum::<f64>() / SHUFFLES as f64, limit: found[SHUFFLES - SHUFFLES / 1_000 - 1] }
}

/// Everything that does not depend on the labels.
struct Judge {
    /// Each feature with mean 0 and deviation 1.
    features: Vec<Vec<f64>>,
    folds: Vec<usize>,
    /// Of each sample, all of other folds, the nearest first.
    nearest: Vec<Vec<usize>>,
}

impl Judge {
    fn new(samples: &[Sample]) -> Self {
        let mut features: Vec<Vec<f64>> = samples.iter().map(|sample| sample.features.clone()).collect();
        for index in 0..features[0].len() {
            let column: Vec<f64> = features.iter().map(|row| row[index]).collect();
            let mean = column.iter().sum::<f64>() / column.len() as f64;
            let deviation = (column.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / column.len() as f64).sqrt();
            for row in &mut features {
                row[index] = if deviation > 1e-9 { (row[index] - mean) / deviation } else { 0.0 };
            }
        }
        let folds: Vec<usize> = samples.iter().map(|sample| sample.group % FOLDS).collect();
        let distance = |one: usize, other: usize| -> f64 {
            features[one].iter().zip(&features[other]).map(|(a, b)| (a - b).powi(2)).sum()
        };
        let nearest = (0..samples.len())
            .map(|one| {
                let mut others: Vec<usize> = (0..samples.len()).filter(|other| folds[*other] != folds[one]).collect();
                others.sort_by(|a, b| distance(one, *a).total_cmp(&distance(one, *b)));
                others
            })
            .collect();
        Self { features, folds, nearest }
    }

    fn accuracy(&self, labels: &[usize]) -> f64 {
        let classes = labels.iter().max().map_or(0, |last| last + 1);
        self.by_neighbours(labels, classes).max(self.by_bayes(labels, classes))
    }

    fn by_neighbours(&self, labels: &[usize], classes: usize) -> f64 {
        let right = (0..labels.len()).filter(|one| {
            let mut votes = vec![0; classes];
            for other in self.nearest[*one].iter().take(NEIGHBOURS) {
                votes[labels[*other]] += 1;
            }
            (0..classes).max_by_key(|class| votes[*class]) == Some(labels[*one])
        });
        right.count() as f64 / labels.len() as f64
    }

    fn by_bayes(&self, labels: &[usize], classes: usize) -> f64 {
        let width = self.features[0].len();
        let mut right = 0;
        for fold in 0..FOLDS {
            // Of each class and feature, the mean and the variance.
            let mut model = vec![vec![(0.0, 0.0); width]; classes];
            let mut known = vec![false; classes];
            for class in 0..classes {
                let rows: Vec<&Vec<f64>> = (0..labels.len())
                    .filter(|one| self.folds[*one] != fold && labels[*one] == class)
                    .map(|one| &self.features[one])
                    .collect();
                known[class] = !rows.is_empty();
                for (index, entry) in model[class].iter_mut().enumerate() {
                    let mean = rows.iter().map(|row| row[index]).sum::<f64>() / rows.len().max(1) as f64;
                    let variance = rows.iter().map(|row| (row[index] - mean).powi(2)).sum::<f64>();
                    *entry = (mean, variance / rows.len().max(1) as f64 + 1e-3);
                }
            }
            for one in (0..labels.len()).filter(|one| self.folds[*one] == fold) {
                let likely = |class: &usize| -> f64 {
                    let row = self.features[one].iter().zip(&model[*class]);
                    row.map(|(value, (mean, variance))| -(value - mean).powi(2) / variance - variance.ln()).sum()
                };
                let best = (0..classes)
                    .filter(|class| known[*class])
                    .max_by(|one, other| likely(one).total_cmp(&likely(other)));
                right += usize::from(best == Some(labels[one]));
            }
        }
        right as f64 / labels.len() as f64
    }
}

/// Samples of three kinds that differ by so much in one of four features.
#[cfg(test)]
fn three_kinds(difference: f64) -> Vec<Sample> {
    let mut state = 7_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1_u64 << 31) as f64 - 0.5
    };
    let sample = |index: usize| {
        let (label, group) = (index / 4 % 3, index / 4);
        Sample { label, group, features: vec![noise(), label as f64 * difference + noise(), noise(), 5.0] }
    };
    (0..96).map(sample).collect()
}

#[test]
fn what_differs_is_told_apart_and_what_does_not_is_not() {
    let same = three_kinds(0.0);
    let chance = by_chance(&same);
    assert!(
        accuracy(&same) <= chance.limit && (0.25..0.5).contains(&chance.mean),
        "{} {}",
        accuracy(&same),
        chance.mean
    );
    let differing = three_kinds(1.0);
    assert!(accuracy(&differing) > 0.9 && accuracy(&differing) > by_chance(&differing).limit);
    // Half of what the noise has.
    let little = three_kinds(0.5);
    assert!(accuracy(&little) > by_chance(&little).limit, "{}", accuracy(&little));
}
