//! Finds functions whose signature hides what it takes: tuple parameters and long parameter lists.

/// The most parameters of a function beside `self`.
const MOST_PARAMETERS: usize = 5;

/// The faults of a file's function signatures: a tuple parameter, or too many parameters.
pub(crate) fn signature_faults(text: &str) -> Vec<String> {
    // Comments, and lines that are a string: samples of signatures.
    let is_text = |line: &&str| line.trim_start().starts_with(['/', '"']);
    let code: Vec<&str> = text.lines().filter(|line| !is_text(line)).collect();
    let code = code.join("\n");
    let mut faults = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code.get(..at).and_then(|text| text.chars().next_back());
        let after = code.get(at + 3..).unwrap_or_default();
        let name: String =
            after.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
        if before.is_some_and(char::is_alphanumeric) || name.is_empty() {
            continue;
        }
        let Some(parameters) = parameters(after.get(name.len()..).unwrap_or_default()) else {
            continue;
        };
        // A property's parameters are drawn from strategies.
        if parameters.iter().any(|parameter| parameter.contains(" in ")) {
            continue;
        }
        let named = parameters.iter().filter(|parameter| parameter.contains(':')).count();
        if named > MOST_PARAMETERS {
            faults.push(format!("{name} has {named} parameters, at most {MOST_PARAMETERS}"));
        }
        let tuples = parameters.iter().filter(|parameter| is_tuple(parameter));
        faults.extend(
            tuples.map(|tuple| format!("{name} has a tuple parameter, name a struct: {tuple}")),
        );
    }
    faults
}

/// The parameters of the signature that begins with `text`, after the function's name.
fn parameters(text: &str) -> Option<Vec<&str>> {
    let open = match text.chars().next()? {
        '<' => top_level(text, '>')?.last()?.1 + 1,
        _ => 0,
    };
    let list = text.get(open..).filter(|list| list.starts_with('('))?;
    let ends = top_level(list, ')')?;
    let parameters = ends.iter().filter_map(|(start, end)| list.get(*start..*end)).map(str::trim);
    Some(parameters.filter(|parameter| !parameter.is_empty()).collect())
}

/// The parts between the commas of a bracketed list, each from its start to its end; the last one ends before `close`.
fn top_level(list: &str, close: char) -> Option<Vec<(usize, usize)>> {
    let (mut depth, mut start, mut parts, mut before) = (0, 1, Vec::new(), ' ');
    for (at, letter) in list.char_indices() {
        match letter {
            '(' | '[' | '{' | '<' => depth += 1,
            // The arrow of a function type closes nothing.
            '>' if before == '-' || before == '=' => {}
            ')' | ']' | '}' | '>' => depth -= 1,
            ',' if depth == 1 => {
                parts.push((start, at));
                start = at + 1;
            }
            _ => {}
        }
        before = letter;
        if depth == 0 {
            parts.push((start, at));
            return (letter == close).then_some(parts);
        }
    }
    None
}

/// True if the pattern or the type of a parameter is a tuple.
fn is_tuple(parameter: &str) -> bool {
    let of_two = |text: &str| {
        text.starts_with('(') && top_level(text, ')').is_some_and(|parts| parts.len() > 1)
    };
    let of_type = |text: &str| {
        let bare = text.trim_start_matches('&').trim_start();
        let bare = match bare.strip_prefix('\'') {
            Some(lifetime) => lifetime.split_once(' ').map_or("", |(_, rest)| rest),
            None => bare,
        };
        of_two(bare.trim_start_matches("mut ").trim_start())
    };
    let pattern = parameter.trim_start_matches("mut ");
    of_two(pattern) || parameter.split_once(": ").is_some_and(|(_, of)| of_type(of))
}
