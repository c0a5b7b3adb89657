//! The module layout of every crate: which module may import which, and the form of each file.
//!
//! Reads the sources as text, with nothing but the standard library. The order of modules is the crate's own: the table in
//! its `lib.rs`, else the order of its `mod` lines. A fault names the file and the reason.

use std::fs;

use crate::support::signatures::signature_faults;
use crate::support::sources::{production, root, sources};

/// The most lines of a file, tests included. Tables of constants do not count.
const MOST_LINES: usize = 400;

/// A word that only some files of a crate may say, with the reason.
struct Fence {
    word: &'static str,
    files: &'static [&'static str],
    reason: &'static str,
}

const FENCES: [Fence; 5] = [
    Fence {
        word: "reqwest",
        files: &[
            "router-core/src/upstream/delivery.rs",
            "router-core/src/upstream/dial.rs",
            "router-core/src/upstream/document.rs",
            "router-core/src/upstream/fetch.rs",
            "router-core/src/upstream/webhook.rs",
            "router-server/src/traces/export.rs",
        ],
        reason: "one file sends, one makes the clients, one fetches tokens, one reads documents; others send spans and notices",
    },
    Fence {
        word: "figment",
        files: &["router-core/src/config/load/mod.rs", "azure-emulator/src/config.rs"],
        reason: "one file knows how layers are merged",
    },
    Fence {
        word: "redis_client",
        files: &["router-core/src/replicas/redis_exchange.rs"],
        reason: "one file speaks to Redis",
    },
    Fence {
        word: "std::env",
        files: &[
            "router-core/src/config/layers.rs",
            "router-core/src/upstream/credential.rs",
            "router-server/src/console.rs",
            "router-server/src/traces/environment.rs",
        ],
        reason: "the environment is read by config, where config says a secret is, for colours, and for what all that trace are told there",
    },
    Fence {
        word: "SystemTime::now",
        files: &["router-core/src/clock.rs", "azure-emulator/src/wall.rs"],
        reason: "the wall clock is read in one place and passed on",
    },
];

/// The layout of a crate.
struct Plan {
    folder: &'static str,
    /// Earlier modules first; the modules of one row may import each other.
    floors: Vec<Vec<String>>,
}

impl Plan {
    fn of(folder: &'static str) -> Self {
        let crate_root = fs::read_to_string(root().join(folder).join("src/lib.rs")).unwrap();
        Self { folder, floors: floors(&crate_root) }
    }

    fn floor(&self, module: &str) -> Option<usize> {
        self.floors.iter().position(|floor| floor.iter().any(|known| known == module))
    }

    /// The faults of a file; `path` is relative to the workspace's folder.
    fn faults(&self, path: &str, text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |what: String| faults.push(format!("{path}: {what}"));
        if !text.starts_with("//!") {
            fault("no //! header".to_owned());
        }
        let production = production(text);
        let code =
            || production.iter().copied().filter(|line| !line.trim_start().starts_with("//"));
        for Fence { word, files, reason } in FENCES {
            if !files.contains(&path) && code().any(|line| says(line, word)) {
                fault(format!("names {word}: {reason}"));
            }
        }
        // Tests in a file of their own may import every module, as those at the end of a file.
        if path.ends_with("/tests.rs") {
            return faults;
        }
        // Crate roots and programs may import every module.
        let module = module_of(self.folder, path);
        if module == "lib" || module == "main" {
            return faults;
        }
        let Some(own) = self.floor(&module) else {
            fault(format!("{module} is not in the list of modules"));
            return faults;
        };
        for line in code() {
            if line.trim_start().starts_with("use crate::") && line.contains('{') {
                fault(format!("hides what it imports: {}", line.trim()));
                continue;
            }
            for imported in imported(line) {
                match self.floor(imported) {
                    None => fault(format!("imports {imported}, which is no module")),
                    Some(other) if other > own => {
                        fault(format!("imports {imported}, which is listed later"));
                    }
                    Some(_) => {}
                }
            }
        }
        faults
    }
}

/// The order of a crate's modules: rows of the table in its root's header, else its `mod` lines.
fn floors(crate_root: &str) -> Vec<Vec<String>> {
    let quoted = |row: &str| -> Vec<String> {
        let cell = row.split('|').next().unwrap_or_default();
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let rows = crate_root.lines().filter_map(|line| line.strip_prefix("//! | `"));
    let table: Vec<Vec<String>> = rows.map(|row| quoted(&format!("`{row}"))).collect();
    if !table.is_empty() {
        return table;
    }
    modules(crate_root).into_iter().map(|module| vec![module]).collect()
}

/// The modules that a crate root declares.
fn modules(crate_root: &str) -> Vec<String> {
    let module = |line: &str| {
        let line = line.strip_prefix("pub ").or(line.strip_prefix("pub(crate) ")).unwrap_or(line);
        Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())
    };
    crate_root.lines().filter_map(module).collect()
}

/// The module of a file: its folder below `src`, else its own name.
fn module_of(folder: &str, path: &str) -> String {
    let inside = path.strip_prefix(folder).unwrap().strip_prefix("/src/").unwrap();
    let first = inside.split('/').next().unwrap();
    first.strip_suffix(".rs").unwrap_or(first).to_owned()
}

/// The modules that a line of code names.
fn imported(line: &str) -> impl Iterator<Item = &str> {
    let letter = |letter: char| letter == '_' || letter.is_alphanumeric();
    line.match_indices("crate::").filter_map(move |(at, whole)| {
        // Not `my_crate::`, nor `$crate::`.
        let before = line.get(..at)?.chars().next_back();
        let after = line.get(at + whole.len()..)?;
        let end = after.find(|other| !letter(other)).unwrap_or(after.len());
        let name = after.get(..end).filter(|name| !name.is_empty())?;
        // `crate::Name` at the root is the crate root's own re-export.
        let is_module = name.chars().all(|letter| !letter.is_uppercase());
        (!before.is_some_and(letter) && is_module).then_some(name)
    })
}

/// True where a line says the word, alone.
fn says(line: &str, word: &str) -> bool {
    let letter = |letter: char| letter == '_' || letter == '-' || letter.is_alphanumeric();
    let code = line.split(" //").next().unwrap_or(line);
    code.match_indices(word).any(|(at, _)| {
        let before = code.get(..at).and_then(|text| text.chars().next_back());
        let after = code.get(at + word.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(letter) && !after.is_some_and(letter)
    })
}

/// The number of lines that count: tables of constants do not.
fn counted(text: &str) -> usize {
    let mut counted = 0;
    let mut inside = false;
    for line in text.lines() {
        let bare = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        let opens = (bare.starts_with("const ") || bare.starts_with("static "))
            && line.trim_end().ends_with('[');
        inside |= opens;
        counted += usize::from(!inside);
        inside &= line.trim_end() != "];";
    }
    counted
}

const CRATES: [(&str, usize); 4] =
    [("router-core", 50), ("router-server", 15), ("router-lab", 15), ("azure-emulator", 40)];

#[test]
fn every_module_imports_only_from_earlier_ones() {
    let mut faults = Vec::new();
    for (folder, least) in CRATES {
        let plan = Plan::of(folder);
        let files = sources(&root().join(folder).join("src"));
        assert!(files.len() >= least, "{folder}: only {} files found", files.len());
        for path in files {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
            faults.extend(plan.faults(&path, &text));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn no_function_takes_a_tuple_or_more_than_five_parameters() {
    let mut faults = Vec::new();
    let folders = CRATES.map(|(folder, _)| folder).into_iter().chain(["tests"]);
    for path in folders.flat_map(|folder| sources(&root().join(folder))) {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().display().to_string();
        faults.extend(signature_faults(&text).into_iter().map(|fault| format!("{path}: {fault}")));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let folders = CRATES.map(|(folder, _)| folder).into_iter().chain(["tests"]);
    let mut long = Vec::new();
    for path in folders.flat_map(|folder| sources(&root().join(folder))) {
        let lines = counted(&fs::read_to_string(&path).unwrap());
        let path = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        if lines > MOST_LINES {
            long.push((path, lines));
        }
    }
    long.sort();
    assert!(long.is_empty(), "more than {MOST_LINES} lines: {long:?}");
}

#[test]
fn lines_of_tables_do_not_count() {
    let table = format!("const WORDS: &[&str] = &[\n{}];\n", "    \"x\",\n".repeat(500));
    assert_eq!(counted(&format!("//! x\n{table}fn f() {{}}\n")), 2);
}

#[test]
fn tuple_parameters_are_found_in_every_form() {
    let tuples = [
        "fn f(a: u8, (b, c): (u8, u8)) {}",
        "fn f(pair: (u8, u8)) {}",
        "fn f(pair: &'a mut (u8, u8)) {}",
        "pub async fn f<T: Fn(u8) -> u8>(\n    (b, mut c): Pair,\n) {}",
    ];
    for text in tuples {
        let faults = signature_faults(text);
        assert!(matches!(faults.as_slice(), [one] if one.contains("tuple")), "{text}: {faults:?}");
    }
    let too_many = signature_faults(
        "fn f(&self, first: u8, second: u8, third: u8, fourth: u8, fifth: Map<u8, u8>, sixth: u8) {}",
    );
    assert!(matches!(too_many.as_slice(), [one] if one.contains("6 parameters")), "{too_many:?}");
    let fine = [
        "fn f(&self, pairs: &[(u8, u8)], one: Option<(u8, u8)>, two: Map<u8, u8>, a: u8, b: u8) {}",
        "fn f(told: &(dyn Fn(u8, u8) + Sync), unit: (), Point(x, y): Point) {}",
        "// fn f(pair: (u8, u8))",
    ];
    for text in fine {
        assert!(signature_faults(text).is_empty(), "{text}");
    }
}

#[test]
fn the_table_of_a_crate_root_names_its_modules_and_no_others() {
    for (folder, _) in CRATES {
        let crate_root = fs::read_to_string(root().join(folder).join("src/lib.rs")).unwrap();
        let mut named: Vec<String> = floors(&crate_root).concat();
        let mut open = modules(&crate_root);
        named.sort();
        open.sort();
        assert_eq!(named, open, "{folder}");
    }
}

#[test]
fn every_member_of_the_workspace_has_a_plan() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    let members: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    let planned = CRATES.map(|(folder, _)| folder);
    for member in members {
        assert!(member == "tests" || planned.contains(&member), "{member} has no floor plan");
    }
}

#[test]
fn every_test_file_belongs_to_its_program() {
    for folder in ["tests", "router-server/tests"] {
        let folder = root().join(folder);
        let program = fs::read_to_string(folder.join("main.rs")).unwrap();
        let included = modules(&program);
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let module = path.extension().is_some_and(|extension| extension == "rs")
                || path.join("mod.rs").exists();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let known = !module || name == "main" || included.contains(&name);
            assert!(known, "{}: main.rs has no `mod {name};`", path.display());
        }
    }
}

fn made_up() -> Plan {
    let crate_root = "//! | `units` | x |\n//! | `chat`, `task` | x |\n//! | `router` | x |\n";
    Plan { folder: "router-core", floors: floors(crate_root) }
}

#[track_caller]
fn check(path: &str, text: &str, expected: &[&str]) {
    let path = format!("router-core/src/{path}");
    let faults = made_up().faults(&path, text);
    assert_eq!(faults.len(), expected.len(), "{faults:?}");
    for (fault, part) in faults.iter().zip(expected) {
        assert!(fault.starts_with(&path) && fault.contains(part), "{fault:?} has no {part:?}");
    }
}

#[test]
fn each_kind_of_fault_is_found() {
    check("chat/mod.rs", "//! x\nuse crate::units::Tokens;\nuse crate::task::Task;\n", &[]);
    check(
        "chat/made.rs",
        "//! x\nuse crate::router::X;\n",
        &["imports router, which is listed later"],
    );
    check(
        "chat/made.rs",
        "//! x\nfn f() -> crate::router::X {}\n",
        &["imports router, which is listed later"],
    );
    check(
        "chat/made.rs",
        "//! x\nuse crate::nowhere::X;\n",
        &["imports nowhere, which is no module"],
    );
    check("poetry.rs", "//! x\n", &["poetry is not in the list of modules"]);
    check("units.rs", "// x\n", &["no //! header"]);
    check("router.rs", "//! x\nuse crate::{units, chat};\n", &["hides what it imports"]);
    check("router.rs", "//! x\nuse crate::units::{Tokens, Day};\n", &["hides what it imports"]);
    check("router.rs", "//! x\nuse reqwest::Client;\n", &["names reqwest"]);
    check("router.rs", "//! x\nlet figment = figment::Figment::new();\n", &["names figment"]);
    check("router.rs", "//! x\nlet home = std::env::var(\"HOME\");\n", &["names std::env"]);
    check("router.rs", "//! x\nlet now = SystemTime::now();\n", &["names SystemTime::now"]);
}

#[test]
fn what_is_no_fault_is_let_through() {
    // Tests and comments may name every module, wherever they stand.
    let tests = "#[cfg(test)]\nmod tests {\n    use crate::router::X;\n}\n";
    check("units.rs", &format!("//! x\n{tests}fn after() {{}}\n"), &[]);
    check("chat/tests.rs", "//! x\nuse crate::router::X;\n", &[]);
    check(
        "units.rs",
        "//! x\n#[cfg(test)]\nmod sample;\n// reqwest, crate::router\n/// figment\n",
        &[],
    );
    check("units.rs", "//! x\nlet name = \"figment-like\";\n", &[]);
    // But what stands after tests does.
    let after = "//! x\n#[cfg(test)]\nmod tests {\n}\nuse crate::router::X;\n";
    check("units.rs", after, &["imports router, which is listed later"]);
}
