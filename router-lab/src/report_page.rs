//! A self-contained HTML page of a heading, a text and plots. The chart code is the dashboard's; the program passes it in with
//! the facts about the run that every page states.

use serde::Serialize;

/// The parts of a page that the caller provides.
#[derive(Debug, Clone)]
pub struct PageKit {
    /// The chart code, as one script.
    pub script: String,
    /// Its style sheet.
    pub style: &'static str,
    /// The command line that made the page.
    pub command: String,
    /// The program's version.
    pub version: &'static str,
    /// The date, in UTC.
    pub date: String,
}

/// One line of a plot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// Its points, from left to right.
    pub(crate) points: Vec<(f64, f64)>,
    /// A reference such as the diagonal: drawn dashed, without a value in the tooltip.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) reference: bool,
}

impl Line {
    /// A line of data.
    pub(crate) fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, reference: false }
    }

    /// A line to compare the data with.
    pub(crate) fn reference(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { reference: true, ..Self::new(name, points) }
    }
}

/// A plot. Its axes end with the data.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Plot {
    pub(crate) title: &'static str,
    /// The unit of the horizontal axis.
    pub(crate) across: &'static str,
    /// The unit of the vertical axis.
    pub(crate) up: &'static str,
    pub(crate) lines: Vec<Line>,
}

/// The page. `text` is shown as it is.
pub(crate) fn page(kit: &PageKit, heading: &str, text: &str, plots: &[Plot]) -> String {
    let PageKit { script, style, command, version, date } = kit;
    let [heading, text, command] = [heading, text, command].map(escaped);
    // Within a script element only `<` could end it.
    let data = serde_json::to_string(plots).unwrap_or_default().replace('<', "\\u003c");
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{heading}</title>\n<style>\n{style}</style></head>\n\
         <body class=\"report\"><main>\n<h1>{heading}</h1>\n\
         <dl class=\"facts\"><div><dt>Command</dt><dd><code>{command}</code></dd></div>\
         <div><dt>Version</dt><dd>{version}</dd></div><div><dt>Date</dt><dd>{date}</dd></div></dl>\n\
         <section class=\"card\" aria-label=\"Figures\"><pre tabindex=\"0\">{text}</pre></section>\n<div id=\"plots\"></div>\n\
         <noscript><p class=\"notice\">The plots are drawn with JavaScript.</p></noscript>\n</main>\n\
         <div id=\"tip\" class=\"tip\" hidden></div><p id=\"spoken\" class=\"unseen\" role=\"status\"></p>\n\
         <script type=\"application/json\" id=\"data\">{data}</script>\n<script type=\"module\">\n{script}</script>\n</body></html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_states_its_origin_and_holds_its_data() {
        let kit = PageKit {
            script: "draw();".to_owned(),
            style: "body{}",
            command: "router-server size --trace \"a<b\"".to_owned(),
            version: "1.2.3",
            date: "2026-11-29".to_owned(),
        };
        let lines = vec![
            Line::new("</script>", vec![(0.0, 1.0), (1.0, 3.5)]),
            Line::reference("diagonal", vec![]),
        ];
        let plot = Plot { title: "a plot", across: "minutes", up: "dollars", lines };
        let page = page(&kit, "Title", "a < b", &[plot]);
        for part in ["a &lt; b", "--trace &quot;a&lt;b&quot;", "1.2.3", "2026-11-29", "draw();"] {
            assert!(page.contains(part), "{part}");
        }
        let (_, rest) = page.split_once("id=\"data\">").unwrap();
        let (data, _) = rest.split_once("</script>").unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(data[0]["lines"][0]["name"], "</script>");
        assert_eq!(data[0]["lines"][0]["points"][1][1], 3.5);
        assert_eq!(data[0]["lines"][1]["reference"], true);
    }
}
