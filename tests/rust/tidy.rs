//! Holds the rules of ARCHITECTURE.md and of the house style, so that they cannot rot.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What each crate may depend on, of ours; anything else of ours is forbidden.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("formats", &[]),
    ("preload", &[]),
    ("recorder", &["formats"]),
    ("analyzer", &["formats"]),
    ("replayer", &["analyzer", "formats"]),
    ("cli", &["analyzer", "formats", "replayer"]),
    ("python", &["analyzer", "cli", "formats", "recorder", "replayer"]),
    ("tests", &["analyzer", "formats", "replayer"]),
];

/// Longest source file, in lines. Tests may be longer.
const LONGEST_FILE: usize = 500;

/// File names that say nothing.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "types", "misc", "shared"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is the parent").to_owned()
}

/// Every file that git knows below the root.
fn tracked() -> Vec<PathBuf> {
    let listed = Command::new("git").args(["ls-files"]).current_dir(root()).output().expect("git runs");
    let names = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    let files: Vec<PathBuf> =
        names.lines().map(PathBuf::from).filter(|path| root().join(path).exists()).collect();
    assert!(files.len() > 50, "git lists the files of the project");
    files
}

fn rust_sources() -> Vec<(PathBuf, String)> {
    let is_source = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    tracked().into_iter().filter(is_source).map(|path| (path.clone(), read(&path))).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
}

/// The lines of a file before its unit tests.
fn product_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take_while(|line| line.trim() != "#[cfg(test)]")
}

#[test]
fn crates_depend_only_downwards() {
    for (name, allowed) in MAY_KNOW {
        let manifest = read(&Path::new(name).join("Cargo.toml"));
        let known: BTreeSet<&str> = manifest
            .lines()
            .take_while(|line| *line != "[dev-dependencies]")
            .filter_map(|line| line.strip_prefix("frontrun-")?.split(['.', ' ', '=']).next())
            .collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        assert!(known.is_subset(&allowed), "{name} knows {known:?}, may know {allowed:?}");
        let knows_python = manifest.lines().any(|line| line.starts_with("pyo3"));
        assert!(!knows_python || *name == "python", "{name} must not know the interpreter");
    }
    let preload = read(Path::new("preload/Cargo.toml"));
    let dependencies = preload.split("[dependencies]").nth(1).expect("preload has dependencies");
    let only: Vec<&str> =
        dependencies.lines().filter(|line| !line.is_empty() && !line.starts_with('[')).collect();
    assert_eq!(only, ["libc.workspace = true"], "the preload library depends on libc alone");
}

#[test]
fn modules_of_a_crate_form_no_cycle() {
    let mut cycles = Vec::new();
    for (name, _) in MAY_KNOW.iter().filter(|(name, _)| *name != "tests") {
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let prefix = Path::new(name).join("src");
        for (path, text) in rust_sources() {
            let Ok(inside) = path.strip_prefix(&prefix) else { continue };
            let first = inside.components().next().expect("a file has a name").as_os_str();
            let module = first.to_string_lossy().trim_end_matches(".rs").to_owned();
            if module == "lib" {
                continue;
            }
            uses.entry(module).or_default().extend(modules_used(&text));
        }
        cycles.extend(cycle(&uses).map(|cycle| format!("{name}: {}", cycle.join(" -> "))));
    }
    assert!(cycles.is_empty(), "modules form cycles: {cycles:?}");
}

/// The top-level modules that a file names as `crate::module`, grouped uses included.
fn modules_used(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let code = product_lines(text).filter(|line| !line.trim_start().starts_with("//"));
    let product: String = code.collect::<Vec<_>>().join("\n");
    for rest in product.split("crate::").skip(1) {
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or("").split(',').collect(),
            None => vec![rest],
        };
        for name in names {
            let name: String = name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.insert(name);
        }
    }
    found
}

fn cycle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit(
        at: &str,
        uses: &BTreeMap<String, BTreeSet<String>>,
        path: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(start) = path.iter().position(|name| name == at) {
            return Some([&path[start..], &[at.to_owned()]].concat());
        }
        if done.contains(at) {
            return None;
        }
        path.push(at.to_owned());
        let others =
            uses.get(at).into_iter().flatten().filter(|other| *other != at && uses.contains_key(*other));
        let found = others.into_iter().find_map(|other| visit(other, uses, path, done));
        path.pop();
        done.insert(at.to_owned());
        found
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|module| visit(module, uses, &mut Vec::new(), &mut done))
}

#[test]
fn every_path_named_in_the_architecture_exists() {
    let text = read(Path::new("ARCHITECTURE.md"));
    let quoted = text.split('`').skip(1).step_by(2);
    let paths: Vec<&str> = quoted.filter(|word| word.contains('/') && !word.contains(' ')).collect();
    assert!(paths.len() > 20, "the architecture names paths");
    for path in paths {
        assert!(root().join(path).exists(), "ARCHITECTURE.md names {path}, which does not exist");
    }
}

#[test]
fn source_files_say_what_they_are_and_stay_readable() {
    for (path, text) in rust_sources() {
        let name = path.display();
        let stem = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        assert!(text.starts_with("//!"), "{name} does not begin with what it is");
        assert!(!EMPTY_NAMES.contains(&stem.as_str()), "{name} has a name that says nothing");
        if !is_test(&path) {
            let lines = product_lines(&text).count();
            assert!(lines <= LONGEST_FILE, "{name} has {lines} lines: is it still one job?");
            let unwraps = product_lines(&text).filter(|line| line.contains(".unwrap()")).count();
            assert_eq!(unwraps, 0, "{name} unwraps outside its tests");
        }
    }
}

#[test]
fn the_project_speaks_of_itself_alone() {
    // Put together from halves, so that this file does not contain what it looks for.
    let banned = [["/wo", "rk/"], ["/ro", "ot/"], ["crates", ".io"], ["py", "pi.org"], ["debian", ".org"]]
        .map(|halves| halves.concat());
    for path in tracked() {
        if path.ends_with("Cargo.lock") || path.extension().is_some_and(|extension| extension == "golden") {
            continue;
        }
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for word in &banned {
            assert!(!text.contains(word.as_str()), "{} contains {word}", path.display());
        }
    }
}

#[test]
fn the_version_stands_in_one_place() {
    let manifest = read(Path::new("Cargo.toml"));
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = \""))
        .and_then(|rest| rest.strip_suffix('"'))
        .expect("the workspace has a version");
    for (name, _) in MAY_KNOW {
        let manifest = read(&Path::new(name).join("Cargo.toml"));
        assert!(manifest.contains("version.workspace = true"), "{name} has a version of its own");
    }
    assert!(!read(Path::new("pyproject.toml")).contains(&format!("version = \"{version}\"")));
}
