//! The plots of `evaluate --html`: ROC curve, calibration, and scores by label.

use std::path::{Path, PathBuf};

use router_core::task::Task;
use router_core::task::train::Scored;
use router_core::task::train::measure::{BINS, bins, float};

use crate::report_page::Line;
use crate::report_page::PageKit;
use crate::report_page::Plot;
use crate::report_page::page;

/// The reason why there is no page.
#[derive(Debug, thiserror::Error)]
#[error("{path}: cannot be written: {why}")]
pub struct PlotError {
    /// The file.
    path: PathBuf,
    /// The system's error.
    why: std::io::Error,
}

/// Writes the page; `table` stands above the plots.
pub(crate) fn write(
    path: &Path,
    kit: &PageKit,
    scored: &[Scored],
    table: &str,
) -> Result<(), PlotError> {
    let plots = [roc(scored), calibration(scored), histogram(scored)];
    std::fs::write(path, page(kit, "Task scorer", table, &plots))
        .map_err(|why| PlotError { path: path.to_owned(), why })
}

fn diagonal() -> Line {
    Line::reference("diagonal", vec![(0.0, 0.0), (1.0, 1.0)])
}

fn roc(scored: &[Scored]) -> Plot {
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
    // As fine as the plot, so that the page stays small.
    let stride = points.len().div_ceil(500).max(1);
    let last = points.len() - 1;
    let chosen = points.into_iter().enumerate().filter(|(at, _)| at % stride == 0 || *at == last);
    let points = chosen.map(|(_, point)| point).collect();
    Plot {
        title: "ROC",
        across: "share of chat sent to reasoning",
        up: "share of reasoning found",
        lines: vec![diagonal(), Line::new("scorer", points)],
    }
}

fn calibration(scored: &[Scored]) -> Plot {
    let all: Vec<&Scored> = scored.iter().collect();
    let filled = bins(&all).into_iter().filter(|bin| bin.n > 0);
    let points = filled.map(|bin| (bin.mean_score, bin.reasoning)).collect();
    Plot {
        title: "Calibration",
        across: "mean score",
        up: "share of reasoning",
        lines: vec![diagonal(), Line::new("scorer", points)],
    }
}

fn histogram(scored: &[Scored]) -> Plot {
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
    Plot {
        title: "Scores by label",
        across: "score",
        up: "share of the label",
        lines: vec![
            Line::new("labelled reasoning", steps(Task::Reasoning)),
            Line::new("labelled chat", steps(Task::Chat)),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use router_core::task::train::Language;

    #[test]
    fn a_curve_goes_from_corner_to_corner() {
        let row = |score, task| Scored {
            score,
            task,
            language: Language::English,
            hard: false,
            source: String::new(),
        };
        let scored = [row(0.9, Task::Reasoning), row(0.2, Task::Chat)];
        assert_eq!(roc(&scored).lines[1].points, [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]);
        assert_eq!(calibration(&scored).lines[1].points.len(), 2);
        let of_chat = &histogram(&scored).lines[1].points;
        assert!(of_chat.iter().any(|(_, share)| (share - 1.0).abs() < 1e-9), "{of_chat:?}");
    }
}
