//! The charts of `evaluate --html`: ROC curve, calibration, and scores by label, in one file
//! without scripts.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use plotters::prelude::*;
use router_core::task::Task;
use router_core::task::train::measure::{BINS, bins, float};
use router_core::task::train::{Quality, Scored};

/// Why there are no pictures.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// The drawing itself.
    #[error("the plots cannot be drawn: {0}")]
    Draw(String),
    /// The file.
    #[error("{path}: cannot be written: {why}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        why: std::io::Error,
    },
}

const SIZE: (u32, u32) = (460, 400);
const REASONING: RGBColor = RGBColor(176, 74, 40);
const CHAT: RGBColor = RGBColor(40, 96, 160);

/// Draws all pictures into an HTML file.
pub(crate) fn write(path: &Path, scored: &[Scored], found: &Quality) -> Result<(), PlotError> {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Task scorer</title>\
         <style>body{font:15px sans-serif;margin:2em}svg{margin:0 1em 1em 0}</style><h1>Task scorer</h1>",
    );
    let auc = found.overall.auc.unwrap_or(f64::NAN);
    let (n, ece) = (found.overall.n, found.overall.ece);
    // Writing to a String cannot fail; the result is the trait's.
    write!(page, "<p>{n} rows, AUC {auc:.4}, calibration error {ece:.4}</p>").map_err(drawn)?;
    for picture in [roc(scored), calibration(scored), histogram(scored)] {
        page.push_str(&picture?);
    }
    page.push_str("</html>\n");
    std::fs::write(path, page).map_err(|why| PlotError::Write { path: path.to_owned(), why })
}

fn drawn(why: impl std::fmt::Display) -> PlotError {
    PlotError::Draw(why.to_string())
}

/// The labels of a picture's axes.
#[derive(Clone, Copy)]
struct Axes {
    x: &'static str,
    y: &'static str,
}

/// A picture over a square from 0 to `top`, with what `draw` puts into it.
fn picture(
    title: &str,
    axes: Axes,
    top: f64,
    series: &[(Vec<(f64, f64)>, RGBColor)],
) -> Result<String, PlotError> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(drawn)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 18))
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(50)
            .build_cartesian_2d(0.0..1.0, 0.0..top)
            .map_err(drawn)?;
        chart.configure_mesh().x_desc(axes.x).y_desc(axes.y).draw().map_err(drawn)?;
        for (points, colour) in series {
            let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2));
            chart.draw_series(line).map_err(drawn)?;
        }
        area.present().map_err(drawn)?;
    }
    Ok(svg)
}

fn roc(scored: &[Scored]) -> Result<String, PlotError> {
    let mut sorted: Vec<&Scored> = scored.iter().collect();
    sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
    let count = |task| float(sorted.iter().filter(|row| row.task == task).count()).max(1.0);
    let (reasoning, chat) = (count(Task::Reasoning), count(Task::Chat));
    let (mut hits, mut alarms) = (0.0, 0.0);
    let mut points = vec![(0.0, 0.0)];
    for row in sorted {
        match row.task {
            Task::Reasoning => hits += 1.0,
            Task::Chat => alarms += 1.0,
        }
        points.push((alarms / chat, hits / reasoning));
    }
    let diagonal = (vec![(0.0, 0.0), (1.0, 1.0)], RGBColor(190, 190, 190));
    let axes = Axes { x: "chat sent to reasoning", y: "reasoning found" };
    picture("ROC", axes, 1.0, &[diagonal, (points, REASONING)])
}

fn calibration(scored: &[Scored]) -> Result<String, PlotError> {
    let all: Vec<&Scored> = scored.iter().collect();
    let filled = bins(&all).into_iter().filter(|bin| bin.n > 0);
    let points = filled.map(|bin| (bin.mean_score, bin.reasoning)).collect();
    let diagonal = (vec![(0.0, 0.0), (1.0, 1.0)], RGBColor(190, 190, 190));
    let axes = Axes { x: "mean score", y: "share of reasoning" };
    picture("Calibration", axes, 1.0, &[diagonal, (points, REASONING)])
}

fn histogram(scored: &[Scored]) -> Result<String, PlotError> {
    let steps = |task: Task| {
        let rows: Vec<&Scored> = scored.iter().filter(|row| row.task == task).collect();
        let all = float(rows.len().max(1));
        let of = |(place, share): (usize, f64)| {
            let (from, to) = (float(place) / float(BINS), float(place + 1) / float(BINS));
            [(from, share), (to, share)]
        };
        let shares = bins(&rows).into_iter().map(move |bin| float(bin.n) / all);
        shares.enumerate().flat_map(of).collect::<Vec<(f64, f64)>>()
    };
    let (chat, reasoning) = (steps(Task::Chat), steps(Task::Reasoning));
    let top = chat.iter().chain(&reasoning).fold(0.1_f64, |top, point| top.max(point.1));
    let title = "Scores: chat (blue), reasoning (red)";
    picture(
        title,
        Axes { x: "score", y: "share of label" },
        top,
        &[(chat, CHAT), (reasoning, REASONING)],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use router_core::task::train::{Language, quality};

    #[test]
    fn three_pictures_are_drawn() {
        let row = |score, task| Scored {
            score,
            task,
            language: Language::English,
            hard: false,
            source: String::new(),
        };
        let scored = [row(0.9, Task::Reasoning), row(0.2, Task::Chat)];
        let path = std::env::temp_dir().join(format!("plots-{}.html", std::process::id()));
        write(&path, &scored, &quality(&scored, 0.5)).unwrap();
        let page = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(page.matches("<svg").count(), 3);
        assert!(page.contains("AUC 1.0000"));
    }
}
