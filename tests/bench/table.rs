//! The result as a Markdown table.

use std::fmt::Write;

use crate::{Measured, servers::Kind};

/// The median over all rounds of one server at one load.
pub fn median(all: &[Measured], kind: Kind, calls: usize, of: impl Fn(&Measured) -> f64) -> Option<f64> {
    let of_this = all.iter().filter(|measured| measured.kind == kind && measured.calls == calls);
    let mut values: Vec<f64> = of_this.map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

pub fn render(all: &[Measured], calls: &[usize], servers: &[Kind]) -> String {
    let mut text = String::from(
        "| calls | server | packets per CPU second | µs of CPU per packet | times Sotto's | lost | p50 µs | p99 µs \
         | memory MB | KB per idle call | KB per call |\n|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for calls in calls {
        for kind in servers {
            let median = |of: fn(&Measured) -> f64| median(all, *kind, *calls, of);
            let ours = self::median(all, Kind::Sotto, *calls, |it| it.cost);
            let Some(cost) = median(|it| it.cost) else { continue };
            let ratio = ours.map_or("".to_owned(), |ours| format!("{:.2}", cost / ours));
            let lost = median(|it| it.lost * 100.0).unwrap_or_default();
            let [p50, p99] = [median(|it| it.p50), median(|it| it.p99)].map(Option::unwrap_or_default);
            let grown = |of: fn(&Measured) -> f64| median(of).unwrap_or_default() / *calls as f64;
            let idle = grown(|it| it.memory[1] as f64 - it.memory[0] as f64);
            let talking = grown(|it| it.memory[2] as f64 - it.memory[0] as f64);
            let memory = median(|it| it.memory[2] as f64 / 1_024.0).unwrap_or_default();
            let _ = writeln!(
                text,
                "| {calls} | {kind} | {per_second:.0} | {cost:.2} | {ratio} | {lost:.2} % | {p50:.0} | {p99:.0} \
                 | {memory:.1} | {idle:.1} | {talking:.1} |",
                per_second = 1e6 / cost,
            );
        }
    }
    text
}
