//! Line plots as SVG in one self-contained HTML page.

use std::ops::Range;

use plotters::chart::ChartBuilder;
use plotters::drawing::{DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::PathElement;
use plotters::prelude::{Color, RGBColor, SVGBackend};
use plotters::series::LineSeries;
use plotters::style::{BLACK, WHITE};

/// One line of a plot.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    /// Title of the plot.
    pub(crate) name: String,
    /// Its points, from left to right.
    pub(crate) points: Vec<(f64, f64)>,
}

/// A plot: what it shows, what its axes are, and its lines.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plot {
    /// Its heading.
    pub(crate) title: &'static str,
    /// The axis to the right.
    pub(crate) across: &'static str,
    /// The axis upwards.
    pub(crate) up: &'static str,
    /// Points of the line.
    pub(crate) lines: Vec<Line>,
}

/// Five colours that are distinguished with any kind of colour sight.
///
/// **Source:** Okabe and Ito, "Color Universal Design".
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(120, 120, 120),
];

const SIZE: (u32, u32) = (860, 360);

const FONT: (&str, u32) = ("sans-serif", 16);

type Drawn = Result<(), Box<dyn std::error::Error>>;

impl Plot {
    /// The plot as SVG; nothing where it cannot be drawn.
    fn svg(&self) -> String {
        let mut svg = String::new();
        if self.draw(&mut svg).is_err() {
            svg.clear();
        }
        svg
    }

    fn draw(&self, svg: &mut String) -> Drawn {
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(72)
            .build_cartesian_2d(self.range(|(x, _)| *x, 1.25), self.range(|(_, y)| *y, 1.05))?;
        chart
            .configure_mesh()
            .x_desc(self.across)
            .y_desc(self.up)
            .label_style(FONT)
            .light_line_style(WHITE)
            .draw()?;
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let style = colour.stroke_width(2);
            chart
                .draw_series(LineSeries::new(line.points.iter().copied(), style))?
                .label(&line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        chart
            .configure_series_labels()
            .label_font(FONT)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .draw()?;
        area.present().map_err(|fault: DrawingAreaErrorKind<_>| fault.into())
    }

    /// From nothing to the largest value, with some room beyond: for the names to the right, for the eye above.
    fn range(&self, of: impl Fn(&(f64, f64)) -> f64, room: f64) -> Range<f64> {
        let points = self.lines.iter().flat_map(|line| &line.points);
        let largest = points.map(of).fold(0.0, f64::max);
        0.0..if largest > 0.0 { largest * room } else { 1.0 }
    }
}

/// A page of a heading, a text that is shown as it is, and plots.
pub(crate) fn page(heading: &str, text: &str, plots: &[Plot]) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{heading}</title><style>\
         body{{font:16px/1.5 system-ui,sans-serif;max-width:900px;margin:2rem auto;padding:0 1rem}}\
         pre{{overflow-x:auto;font-size:13px}} svg{{max-width:100%;height:auto}}</style></head><body>\
         \n<h1>{heading}</h1>\n<pre>{}</pre>\n",
        escaped(text)
    );
    for plot in plots {
        let (title, svg) = (plot.title, plot.svg());
        page.push_str(
            &[
                "<h2>",
                title,
                "</h2>
<figure role=\"img\" aria-label=\"",
                title,
                "\">",
                &svg,
                "</figure>
",
            ]
            .concat(),
        );
    }
    page.push_str("</body></html>\n");
    page
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_its_plots_and_nothing_from_outside() {
        let line = Line { name: "one".to_owned(), points: vec![(0.0, 1.0), (1.0, 3.0)] };
        let empty = Line { name: "none".to_owned(), points: vec![] };
        let lines = vec![line, empty];
        let plot = Plot { title: "a plot", across: "minutes", up: "dollars", lines };
        let page = page("Title", "a < b", &[plot.clone(), plot]);
        assert_eq!(page.matches("<svg").count(), 2);
        assert!(page.contains("a &lt; b") && page.contains("dollars"));
        let links = page.replace("http://www.w3.org/", "");
        assert!(!links.contains("http://") && !links.contains("https://"));
    }
}
