//! The cost of a packet as calls grow, as a picture.

use std::fmt::Write;

use crate::{Measured, servers::Kind, table::median};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 50.0;
const BOTTOM: f64 = 310.0;
const TOP: f64 = 40.0;
const RIGHT: f64 = 540.0;

pub fn draw(all: &[Measured], calls: &[usize], servers: &[Kind]) -> String {
    let cost = |kind: Kind, calls: usize| median(all, kind, calls, |it| it.cost);
    let costs = servers.iter().flat_map(|kind| calls.iter().filter_map(|calls| cost(*kind, *calls)));
    let highest = (costs.fold(0.0, f64::max) / 10.0).ceil() * 10.0;
    let [first, last] = [calls.first(), calls.last()].map(|calls| (*calls.unwrap_or(&1) as f64).ln());
    let x = |calls: usize| LEFT + (RIGHT - LEFT) * ((calls as f64).ln() - first) / (last - first);
    let y = |cost: f64| BOTTOM - (BOTTOM - TOP) * cost / highest;

    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"22\">Microseconds of CPU per forwarded packet, by calls at a time</text>\n"
    );
    for step in 0..=5 {
        let value = highest * f64::from(step) / 5.0;
        let height = y(value);
        let _ = writeln!(
            picture,
            "<path d=\"M{LEFT} {height:.1}H{RIGHT}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value:.0}</text>",
            LEFT - 6.0,
            height + 4.0
        );
    }
    for calls in calls {
        let _ = writeln!(
            picture,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{calls}</text>",
            x(*calls),
            BOTTOM + 18.0
        );
    }
    for kind in servers {
        let colour = match kind {
            Kind::Sotto => "#0a7d4f",
            Kind::TwoThreads => "#4a6fa5",
            Kind::Coturn => "#b3403a",
            Kind::Forwarder => "#777",
        };
        let points: Vec<(f64, f64)> =
            calls.iter().filter_map(|calls| Some((x(*calls), y(cost(*kind, *calls)?)))).collect();
        let Some((end_x, end_y)) = points.last() else { continue };
        let line: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            picture,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{kind}</text>",
            line.join(" "),
            end_x + 6.0,
            end_y + 4.0
        );
    }
    picture.push_str("</svg>\n");
    picture
}
