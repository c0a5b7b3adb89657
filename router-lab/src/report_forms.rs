//! A spending report as a table, CSV, JSON or one HTML page. Numbers are rounded for people only, never in CSV and JSON.

use serde_json::{Map, Value, json};

use crate::report_args::By;
use crate::report_args::Format;
use crate::spending::Group;
use crate::spending::Spending;

/// A report before it is written.
#[derive(Debug)]
pub(crate) struct Sheet<'s> {
    pub(crate) columns: &'s [By],
    pub(crate) groups: &'s [Group],
    pub(crate) total: &'s Spending,
    /// The first and the last day of the log.
    pub(crate) days: Option<(String, String)>,
}

/// The columns behind the names, as CSV and JSON call them.
const FIGURES: [&str; 11] = [
    "requests",
    "failed",
    "provisioned",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "cost_usd",
    "unpriced",
    "saved_by_choice_usd",
    "saved_by_ptu_usd",
];

/// The report in a form.
pub(crate) fn written(sheet: &Sheet<'_>, format: Format) -> String {
    match format {
        Format::Table => table(sheet),
        Format::Csv => csv(sheet),
        Format::Json => serde_json::to_string_pretty(&as_json(sheet)).unwrap_or_default(),
        Format::Html => html(sheet),
    }
}

fn headings(columns: &[By]) -> impl Iterator<Item = &'static str> + '_ {
    columns.iter().map(|by| by.as_str())
}

/// The figures as numbers, in the order of [`FIGURES`].
fn figures(spending: &Spending) -> [Value; 11] {
    [
        spending.requests.into(),
        spending.failed.into(),
        spending.provisioned.into(),
        spending.prompt_tokens.into(),
        spending.cached_tokens.into(),
        spending.completion_tokens.into(),
        spending.reasoning_tokens.into(),
        spending.cost_usd.into(),
        spending.unpriced.into(),
        spending.saved_by_choice_usd.into(),
        spending.saved_by_ptu_usd.into(),
    ]
}

fn as_json(sheet: &Sheet<'_>) -> Value {
    let object = |names: &[String], spending: &Spending| {
        let names = headings(sheet.columns).zip(names.iter().map(|name| Value::from(&**name)));
        let all = names.chain(FIGURES.into_iter().zip(figures(spending)));
        all.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>()
    };
    let groups: Vec<_> =
        sheet.groups.iter().map(|group| object(&group.names, &group.spending)).collect();
    let (from, to) = sheet.days.as_ref().map_or((None, None), |(from, to)| (Some(from), Some(to)));
    json!({"from": from, "to": to, "groups": groups, "total": object(&[], sheet.total)})
}

fn csv(sheet: &Sheet<'_>) -> String {
    let line = |cells: Vec<String>| cells.join(",") + "\r\n";
    let mut text =
        line(headings(sheet.columns).chain(FIGURES).map(str::to_owned).collect::<Vec<_>>());
    for group in sheet.groups {
        let names = group.names.iter().map(|name| csv_cell(name));
        let figures = figures(&group.spending).into_iter().map(|value| value.to_string());
        text.push_str(&line(names.chain(figures).collect()));
    }
    text
}

fn csv_cell(text: &str) -> String {
    // A name that a spreadsheet would take for a formula is quoted with an apostrophe.
    let formula = text.len() > 1 && text.starts_with(['=', '+', '-', '@']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// The cells that people read: names, then rounded figures.
fn cells(names: &[String], spending: &Spending) -> Vec<String> {
    let dollars = |usd: f64| format!("{usd:.4}");
    let cost = if spending.unpriced > 0 { "+ ?" } else { "" };
    let figures = [
        spending.requests.to_string(),
        spending.failed.to_string(),
        spending.provisioned.to_string(),
        spending.prompt_tokens.to_string(),
        spending.cached_tokens.to_string(),
        spending.completion_tokens.to_string(),
        format!("{}{cost}", dollars(spending.cost_usd)),
        dollars(spending.saved_by_choice_usd),
        dollars(spending.saved_by_ptu_usd),
    ];
    names.iter().cloned().chain(figures).collect()
}

const SHOWN: [&str; 9] = [
    "requests",
    "failed",
    "on PTU",
    "prompt",
    "cached",
    "completion",
    "cost $",
    "saved by choice $",
    "saved by PTU $",
];

/// Heading, groups, total.
fn rows(sheet: &Sheet<'_>) -> Vec<Vec<String>> {
    let heading = headings(sheet.columns).chain(SHOWN).map(str::to_owned).collect();
    let groups = sheet.groups.iter().map(|group| cells(&group.names, &group.spending));
    let mut names = vec![String::new(); sheet.columns.len()];
    if let Some(first) = names.first_mut() {
        "total".clone_into(first);
    }
    let total = cells(&names, sheet.total);
    std::iter::once(heading).chain(groups).chain([total]).collect()
}

fn table(sheet: &Sheet<'_>) -> String {
    let (rows, named) = (rows(sheet), sheet.columns.len());
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).map(width).collect();
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
            if at < named { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

const STYLE: &str = "\
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem}\
table{border-collapse:collapse;width:100%}th,td{padding:.35rem .6rem;text-align:right;border-bottom:1px solid #8884}\
th.n,td.n{text-align:left}tr:last-child td{font-weight:600;border-top:2px solid #8888}div{overflow-x:auto}";

fn html(sheet: &Sheet<'_>) -> String {
    let rows = rows(sheet);
    let row = |cells: &[String], tag: &str| {
        let cells = cells.iter().enumerate().map(|(at, cell)| {
            let class = if at < sheet.columns.len() { " class=\"n\"" } else { "" };
            format!("<{tag}{class}>{}</{tag}>", escaped(cell))
        });
        format!("<tr>{}</tr>", cells.collect::<String>())
    };
    let mut lines = rows.iter();
    let heading = lines.next().map(|cells| row(cells, "th")).unwrap_or_default();
    let body: String = lines.map(|cells| row(cells, "td")).collect();
    let days =
        sheet.days.as_ref().map(|(from, to)| format!("{from} to {to}, UTC")).unwrap_or_default();
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Spending</title><style>{STYLE}</style>\
         <h1>Spending</h1><p>{days}. An answer of provisioned throughput costs nothing by the token. \
         &ldquo;Saved by choice&rdquo;: chat tasks at the chat model instead of the reasoning model; a lower bound. \
         &ldquo;Saved by PTU&rdquo;: provisioned answers at pay-as-you-go prices; what the PTUs cost by the hour is not \
         subtracted.</p><div><table><thead>{heading}</thead><tbody>{body}</tbody></table></div></html>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(write: impl FnOnce(&Sheet<'_>) -> String) -> String {
        let spending = Spending { requests: 2, cost_usd: 0.25, ..Spending::default() };
        let groups = [Group { names: vec!["a,\"b\" <c>".to_owned()], spending: spending.clone() }];
        let days = Some(("2026-11-01".to_owned(), "2026-11-30".to_owned()));
        write(&Sheet { columns: &[By::Team], groups: &groups, total: &spending, days })
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let text = sheet(|sheet| written(sheet, Format::Csv));
        let mut lines = text.split("\r\n");
        assert!(lines.next().unwrap().starts_with("team,requests,failed,"));
        assert!(lines.next().unwrap().starts_with("\"a,\"\"b\"\" <c>\",2,0,0,"), "{text}");
        assert_eq!(csv_cell("=1+1"), "'=1+1");
        assert_eq!(csv_cell("-"), "-");
    }

    #[test]
    fn json_and_html_have_the_same_figures() {
        let json: Value =
            serde_json::from_str(&sheet(|sheet| written(sheet, Format::Json))).unwrap();
        assert_eq!(json["groups"][0]["team"], "a,\"b\" <c>");
        assert_eq!(json["total"]["cost_usd"], 0.25);
        let page = sheet(|sheet| written(sheet, Format::Html));
        assert!(page.contains("a,&quot;b&quot; &lt;c&gt;") && page.contains("0.2500"), "{page}");
        assert!(page.contains("2026-11-01 to 2026-11-30"));
    }

    #[test]
    fn the_table_ends_with_the_total() {
        let text = sheet(|sheet| written(sheet, Format::Table));
        assert!(text.lines().last().unwrap().starts_with("total "), "{text}");
    }
}
