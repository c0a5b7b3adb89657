//! The files of the page, embedded in the program: nothing is loaded from another server.

/// A file of the page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File {
    /// The path at which it is served.
    pub(crate) path: &'static str,
    /// Its media type.
    pub(crate) kind: &'static str,
    /// Its text.
    pub(crate) text: &'static str,
}

/// The path of the page.
pub(crate) const PATH: &str = "/";

/// The page as it is without anything in it.
pub(crate) const PAGE: &str = include_str!("page/index.html");

/// The page may run our own scripts, use our own styles, and call our own server.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// The style sheet of the dashboard and of the reports.
pub(crate) const STYLE: &str = include_str!("page/style.css");

/// The files of the chart code, in the order of their dependence.
#[cfg(feature = "lab")]
const REPORT: [&str; 4] = [
    include_str!("page/dom.js"),
    include_str!("page/format.js"),
    include_str!("page/charts.js"),
    include_str!("page/report.js"),
];

/// The chart code as one script, for a page that can load no other file.
#[cfg(feature = "lab")]
pub(crate) fn report_script() -> String {
    let lines = REPORT.iter().flat_map(|text| text.lines());
    let own = lines.filter(|line| !line.starts_with("import "));
    own.flat_map(|line| [line.strip_prefix("export ").unwrap_or(line), "\n"]).collect()
}

/// The files that the page loads.
pub(crate) const FILES: [File; 14] = [
    File { path: "/dashboard/style.css", kind: "text/css; charset=utf-8", text: STYLE },
    File {
        path: "/dashboard/icon.svg",
        kind: "image/svg+xml",
        text: include_str!("page/icon.svg"),
    },
    script("/dashboard/main.js", include_str!("page/main.js")),
    script("/dashboard/troubles.js", include_str!("page/troubles.js")),
    script("/dashboard/traffic.js", include_str!("page/traffic.js")),
    script("/dashboard/deployments.js", include_str!("page/deployments.js")),
    script("/dashboard/money.js", include_str!("page/money.js")),
    script("/dashboard/requests.js", include_str!("page/requests.js")),
    script("/dashboard/scores.js", include_str!("page/scores.js")),
    script("/dashboard/parts.js", include_str!("page/parts.js")),
    script("/dashboard/charts.js", include_str!("page/charts.js")),
    script("/dashboard/dom.js", include_str!("page/dom.js")),
    script("/dashboard/format.js", include_str!("page/format.js")),
    script("/dashboard/stream.js", include_str!("page/stream.js")),
];

const fn script(path: &'static str, text: &'static str) -> File {
    File { path, kind: "text/javascript; charset=utf-8", text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "lab")]
    #[test]
    fn a_report_has_one_script_that_loads_nothing() {
        let script = report_script();
        for line in script.lines() {
            assert!(!line.starts_with("import") && !line.starts_with("export"), "{line}");
        }
        assert!(script.contains("class Curves extends Chart") && !script.contains("</script"));
        let names = script.lines().filter_map(|line| {
            let mut words = line.split([' ', '(']);
            matches!(words.next(), Some("const" | "class" | "function")).then(|| words.next())?
        });
        let mut seen = std::collections::BTreeSet::new();
        for name in names.filter(|name| !name.starts_with('{')) {
            assert!(seen.insert(name), "{name} is declared twice");
        }
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere_and_nothing_runs_inline() {
        let texts = FILES.iter().map(|file| file.text).chain([PAGE]);
        for text in texts.clone() {
            let elsewhere = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!elsewhere.contains("://"), "an address of another server");
            for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
            {
                assert!(!text.contains(word), "{word}");
            }
        }
        for word in [" style=", " onclick", " onload", "<style", "<script>"] {
            assert!(!PAGE.contains(word), "{word}");
        }
        // Each file that is named is one of ours.
        let named = texts.flat_map(|text| text.split(['"', '\'']));
        for path in named.filter(|path| path.starts_with("/dashboard/") || path.starts_with("./")) {
            let path = path.replace("./", "/dashboard/");
            let known = FILES.iter().any(|file| file.path == path)
                || path == "/dashboard/events"
                || path.starts_with("/dashboard/range?");
            assert!(known, "{path}");
        }
    }
}
