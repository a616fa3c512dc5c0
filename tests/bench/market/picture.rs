//! The two tables as a picture: waiting against arrivals, and what holding a wish brings and costs.

use std::fmt::Write;

use super::simulation::Outcome;

const TOP: f64 = 50.0;
const BOTTOM: f64 = 300.0;
/// Left and right edges of the two panels.
const PANELS: [(f64, f64); 2] = [(50.0, 330.0), (480.0, 690.0)];
const COLOURS: [&str; 4] = ["#0a7d4f", "#2a6db0", "#b07a1a", "#b3403a"];

/// The longest that a wish is held in the second panel, in seconds.
const HELD: f64 = 60.0;

pub fn draw(waits: &[(usize, Vec<(f64, Outcome)>)], wishes: &[(f64, Vec<(u64, Outcome)>)]) -> String {
    let mut picture = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 790 340\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"790\" height=\"340\" fill=\"#fff\"/>\n",
    );
    waiting(&mut picture, waits);
    widening(&mut picture, wishes);
    picture.push_str("</svg>\n");
    picture
}

/// Both axes logarithmic: 0.1 to 100 arrivals, 1 to 1,000 seconds.
fn waiting(picture: &mut String, lines: &[(usize, Vec<(f64, Outcome)>)]) {
    let (left, right) = PANELS[0];
    let x = |rate: f64| left + (right - left) * (rate.log10() + 1.0) / 3.0;
    let y = |seconds: f64| BOTTOM - (BOTTOM - TOP) * seconds.max(1.0).log10() / 3.0;
    title(picture, left, "Nine in ten of those met waited at most, s,", "by arrivals a minute");
    for value in [1, 10, 100, 1_000] {
        rule(picture, PANELS[0], y(f64::from(value)), &value.to_string());
    }
    for rate in [0.1, 1.0, 10.0, 100.0] {
        tick(picture, x(rate), &rate.to_string());
    }
    for ((languages, line), colour) in lines.iter().zip(COLOURS) {
        let points = line.iter().map(|(rate, outcome)| (x(*rate), y(outcome.ninth_decile)));
        let name = if *languages == 1 { "1 language".to_owned() } else { format!("{languages} languages") };
        curve(picture, points.collect(), colour, "", &name);
    }
}

/// Percent against the seconds that a wish is held.
fn widening(picture: &mut String, lines: &[(f64, Vec<(u64, Outcome)>)]) {
    let (left, right) = PANELS[1];
    let x = |held: u64| left + (right - left) * held as f64 / HELD;
    let y = |share: f64| BOTTOM - (BOTTOM - TOP) * share;
    title(picture, left, "Met as wished, and (dashed) gave up, %,", "by seconds that a wish is held");
    for value in [0, 25, 50, 75, 100] {
        rule(picture, PANELS[1], y(f64::from(value) / 100.0), &value.to_string());
    }
    for held in [0, 15, 30, 45, 60] {
        tick(picture, x(held), &held.to_string());
    }
    for ((rate, line), colour) in lines.iter().zip(COLOURS) {
        let shown = || line.iter().filter(|(held, _)| *held as f64 <= HELD);
        let points = shown().map(|(held, outcome)| (x(*held), y(outcome.as_wished)));
        curve(picture, points.collect(), colour, "", &format!("{rate} a minute"));
        let points = shown().map(|(held, outcome)| (x(*held), y(outcome.gave_up)));
        curve(picture, points.collect(), colour, " stroke-dasharray=\"4 3\"", "");
    }
}

fn title(picture: &mut String, left: f64, first: &str, second: &str) {
    let left = left - 24.0;
    let _ = writeln!(picture, "<text x=\"{left}\" y=\"18\">{first}</text><text x=\"{left}\" y=\"34\">{second}</text>");
}

fn rule(picture: &mut String, (left, right): (f64, f64), y: f64, name: &str) {
    let _ = writeln!(
        picture,
        "<path d=\"M{left} {y:.1}H{right}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
        left - 6.0,
        y + 4.0
    );
}

fn tick(picture: &mut String, x: f64, name: &str) {
    let _ = writeln!(picture, "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>", BOTTOM + 18.0);
}

fn curve(picture: &mut String, points: Vec<(f64, f64)>, colour: &str, dash: &str, name: &str) {
    let Some((end_x, end_y)) = points.last() else { return };
    let line: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        picture,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/>\
         <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>",
        line.join(" "),
        end_x + 6.0,
        end_y + 4.0
    );
}
