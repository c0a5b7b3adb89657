//! The public API of `router-core` as text: `public_api.txt` lists what the crate root exports, so that growth is visible.
//!
//! Derived from the sources, which `rustfmt` keeps in one form, because the tools that read the compiler's output need its nightly
//! version. `UPDATE_PUBLIC_API=1 cargo test -p router-tests public_api` writes the listing anew. Modules that the root hides from
//! the documentation serve the project's other crates: of them, the listing has the names only.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::sources::{production, root, sources};

/// The declarations at a file's top level.
#[derive(Debug, Default)]
struct Declared {
    /// The heads of types, traits and functions with their public parts, by name.
    items: Vec<(String, Item)>,
    /// Public methods and implemented traits, by the name of the type.
    methods: Vec<(String, String)>,
    /// The types that the file imports, each with its module.
    imports: BTreeSet<(String, String)>,
}

#[derive(Debug, Default)]
struct Item {
    head: String,
    parts: Vec<String>,
}

/// A declaration in one line, without its body.
fn signature(lines: &[&str]) -> String {
    let joined = lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    let is_value = joined.contains("const ") && !joined.contains("fn ");
    let end = if is_value { joined.find(" = ") } else { joined.find([';', '{']) };
    let end = end.unwrap_or(joined.len());
    let text = joined.get(..end).unwrap_or_default().trim().trim_end_matches(',');
    text.replace("( ", "(").replace(", )", ")").replace(" )", ")")
}

/// The lines from `at` up to the one that ends the declaration.
fn declaration<'l>(lines: &'l [&'l str], at: usize) -> &'l [&'l str] {
    let rest = lines.get(at..).unwrap_or_default();
    let ends =
        |line: &&str| line.ends_with(['{', ';']) || line.ends_with("{}") || line.ends_with('}');
    let length = rest.iter().position(ends).map_or(rest.len(), |end| end + 1);
    rest.get(..length).unwrap_or_default()
}

/// The name after a keyword such as `struct`.
fn name_after(head: &str, keyword: &str) -> Option<String> {
    let rest = head.split_once(keyword)?.1;
    let name: String =
        rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
    (!name.is_empty()).then_some(name)
}

const KEYWORDS: [&str; 7] = ["struct ", "enum ", "trait ", "fn ", "type ", "const ", "static "];

fn declared(text: &str) -> Declared {
    let lines = production(text);
    let mut found = Declared::default();
    let mut attributes = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let body = || {
            lines.get(at + 1..).unwrap_or_default().iter().take_while(|line| **line != "}").copied()
        };
        if line.starts_with("#[non_exhaustive") || line.starts_with("#[derive") {
            attributes.push((*line).to_owned());
        } else if let Some(import) = line.strip_prefix("use crate::") {
            let path = import.trim_end_matches(';');
            if let (Some((module, _)), Some((_, name))) =
                (path.split_once("::"), path.rsplit_once("::"))
            {
                found.imports.insert((module.to_owned(), name.to_owned()));
            }
        } else if line.starts_with("pub ")
            && !line.starts_with("pub use ")
            && !line.starts_with("pub mod ")
        {
            let head = signature(declaration(&lines, at));
            let keyword = KEYWORDS.iter().find(|keyword| head.contains(**keyword));
            if let Some(name) = keyword.and_then(|keyword| name_after(&head, keyword)) {
                let mut parts = std::mem::take(&mut attributes);
                if line.ends_with('{') && !head.contains("fn ") {
                    let body: Vec<&str> = body().collect();
                    parts.extend(parts_of(&head, &body));
                }
                found.items.push((name, Item { head, parts }));
            }
        } else if line.starts_with("impl") {
            let head = signature(declaration(&lines, at));
            let of = head.split_once(" for ").map_or(head.as_str(), |(_, of)| of);
            let of = of.trim_start_matches("impl");
            let of =
                if of.starts_with('<') { of.split_once("> ").map_or(of, |(_, of)| of) } else { of };
            let name = of.trim().split(['<', ' ']).next().unwrap_or_default().to_owned();
            if head.contains(" for ") {
                found.methods.push((name, head));
            } else {
                let body: Vec<&str> = body().collect();
                let methods = body.iter().enumerate().filter(|(_, line)| {
                    line.starts_with("    pub ")
                        && !line.starts_with("    pub(")
                        && (line.contains("fn ") || line.contains("const "))
                });
                for (at, _) in methods {
                    found.methods.push((name.clone(), signature(declaration(&body, at))));
                }
            }
        }
        if !line.starts_with('#') {
            attributes.clear();
        }
        at += 1;
    }
    found
}

/// Public fields, variants, or a trait's functions.
fn parts_of(head: &str, body: &[&str]) -> Vec<String> {
    // Neither a comment nor a line of an attribute, which may be long.
    let is_code = |line: &str| !line.trim_start().starts_with(['/', '#', '"', ')']);
    if head.contains("trait ") {
        let of_trait = |line: &str| {
            line.starts_with("    fn ")
                || line.starts_with("    async fn ")
                || line.starts_with("    type ")
        };
        return (0..body.len())
            .filter(|at| body.get(*at).is_some_and(|line| of_trait(line)))
            .map(|at| signature(declaration(body, at)))
            .collect();
    }
    let is_enum = head.contains("enum ");
    let kept = body.iter().filter(|line| {
        is_code(line) && (is_enum || line.starts_with("    pub ")) && !line.trim().is_empty()
    });
    kept.map(|line| line.strip_prefix("    ").unwrap_or(line).trim_end_matches(',').to_owned())
        .collect()
}

/// The names in a `use` tree, each with its path and the name that it is exported by.
fn exported(tree: &str, path: &str, found: &mut Vec<(String, String)>) {
    let mut depth = 0_u32;
    let parts = tree.split(|letter| {
        depth = match letter {
            '{' => depth + 1,
            '}' => depth.saturating_sub(1),
            _ => depth,
        };
        letter == ',' && depth == 0
    });
    for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
        if let Some((before, inside)) = part.split_once('{') {
            let inside = inside.strip_suffix('}').unwrap_or(inside);
            exported(inside, &format!("{path}{}", before.trim()), found);
        } else {
            let (from, name) =
                part.split_once(" as ").unwrap_or((part, part.rsplit("::").next().unwrap_or(part)));
            found.push((format!("{path}{from}"), name.to_owned()));
        }
    }
}

/// The `pub use` lines of a module root.
fn reexports(text: &str) -> Vec<(String, String)> {
    let code: Vec<&str> =
        production(text).into_iter().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut found = Vec::new();
    for tree in format!("\n{}", code.join("\n")).split("\npub use ").skip(1) {
        exported(tree.split(';').next().unwrap_or_default(), "", &mut found);
    }
    found
}

/// The listing: what the root exports, with its public parts, and then the names in hidden modules.
fn listing(core: &Path) -> String {
    let crate_root = fs::read_to_string(core.join("lib.rs")).unwrap();
    let files: Vec<(String, PathBuf, Declared)> = sources(core)
        .into_iter()
        .map(|path| {
            let module = path.strip_prefix(core).unwrap().iter().next().unwrap().to_str().unwrap();
            let text = fs::read_to_string(&path).unwrap();
            (module.trim_end_matches(".rs").to_owned(), path, declared(&text))
        })
        .collect();
    let mut listed = BTreeMap::new();
    for (path, name) in reexports(&crate_root) {
        let module = path.split("::").next().unwrap_or_default();
        let original = path.rsplit("::").next().unwrap_or_default();
        let mut text = String::new();
        let own = files.iter().filter(|(of, ..)| of == module);
        for item in own.flat_map(|(.., file)| &file.items).filter(|(known, _)| known == original) {
            writeln!(text, "{}", item.1.head).unwrap();
            item.1.parts.iter().for_each(|part| writeln!(text, "    {part}").unwrap());
        }
        if text.is_empty() {
            writeln!(text, "made by a macro").unwrap();
        }
        let knows = |of: &str, file: &Declared| {
            of == module || file.imports.contains(&(module.to_owned(), original.to_owned()))
        };
        let methods: BTreeSet<&str> = files
            .iter()
            .filter(|(of, _, file)| knows(of, file))
            .flat_map(|(.., file)| &file.methods)
            .filter(|(of, _)| of == original)
            .map(|(_, method)| method.as_str())
            .collect();
        for method in methods {
            writeln!(text, "    {method}").unwrap();
        }
        let title = if name == original { path } else { format!("{path} as {name}") };
        listed.insert(name, format!("## {title}\n{text}"));
    }
    let mut text = listed.into_values().collect::<Vec<_>>().join("\n");
    let hidden =
        crate_root.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    text.push_str("\n## Hidden modules, for the project's other crates\n");
    for module in hidden {
        let folder = core.join(module).join("mod.rs");
        let is_root = |path: &Path| path == folder || path == core.join(format!("{module}.rs"));
        let own = files.iter().filter(|(_, path, _)| is_root(path));
        let own = own.flat_map(|(.., file)| &file.items).map(|(name, _)| name.clone());
        let passed_on =
            fs::read_to_string(&folder).map(|text| reexports(&text)).unwrap_or_default();
        let names: BTreeSet<String> =
            own.chain(passed_on.into_iter().map(|(_, name)| name)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        writeln!(text, "{module}: {}", names.join(", ")).unwrap();
    }
    text
}

#[test]
fn the_public_api_is_the_one_that_is_listed() {
    let file = root().join("tests/public_api.txt");
    let found = listing(&root().join("router-core/src"));
    if std::env::var_os("UPDATE_PUBLIC_API").is_some() {
        fs::write(&file, &found).unwrap();
    }
    let listed = fs::read_to_string(&file).unwrap_or_default();
    let changed = |one: &str, other: &str, sign: char| -> Vec<String> {
        let other: BTreeSet<&str> = other.lines().collect();
        let new = one.lines().filter(|line| !other.contains(line));
        new.map(|line| format!("{sign} {line}")).collect()
    };
    let changes = [changed(&listed, &found, '-'), changed(&found, &listed, '+')].concat();
    let advice = "the public API of router-core has changed; if it should, run with UPDATE_PUBLIC_API=1 and commit the listing";
    assert!(listed == found, "{advice}\n{}", changes.join("\n"));
}

#[test]
fn public_parts_are_listed_and_private_ones_are_not() {
    let text = "//! x\nuse crate::units::Day;\n\n/// x\n#[derive(Debug)]\n#[non_exhaustive]\npub struct Pair<'p> {\n    /// x\n    pub left: &'p str,\n    right: u8,\n}\n\nimpl Pair<'_> {\n    /// x\n    pub fn long(\n        &self,\n        day: Day,\n    ) -> u8 {\n        0\n    }\n\n    pub(crate) fn hidden(&self) {}\n}\n\nimpl From<Day> for Pair<'_> {\n}\n\npub enum Way {\n    In(u8),\n    Out {\n        /// x\n        why: u8,\n    },\n}\n";
    let found = declared(text);
    let items: Vec<String> = found
        .items
        .iter()
        .map(|(name, item)| format!("{name}: {} | {}", item.head, item.parts.join("; ")))
        .collect();
    assert_eq!(
        items,
        [
            "Pair: pub struct Pair<'p> | #[derive(Debug)]; #[non_exhaustive]; pub left: &'p str",
            "Way: pub enum Way | In(u8); Out {;     why: u8; }",
        ]
    );
    let methods: Vec<&str> = found.methods.iter().map(|(_, method)| method.as_str()).collect();
    assert_eq!(methods, ["pub fn long(&self, day: Day) -> u8", "impl From<Day> for Pair<'_>"]);
    let names = reexports(
        "//! x\n// y\npub use a::{B, C as D};\n#[cfg(x)]\npub use {\n    e::{F, G},\n    h::I,\n};\n",
    );
    let names: Vec<String> =
        names.into_iter().map(|(path, name)| format!("{path} {name}")).collect();
    assert_eq!(names, ["a::B B", "a::C D", "e::F F", "e::G G", "h::I I"]);
}
