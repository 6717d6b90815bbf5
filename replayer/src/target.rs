//! What to run: a command line as people type it, brought into the one form that can be run again.
//!
//! `python script.py a`, `script.py a`, `-m module a`, `python -O -c code` and `pytest tests` all become
//! interpreter options and a command. A missing script is found here, before any process is started.
//!
//! Not here: starting it (spawn).

use crate::error::ReplayError;
use frontrun_formats::Header;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The clock of a program whose recording names none.
const VIRTUAL_CLOCK: &str = "virtual";

/// A program, and the interpreter and surroundings to run it in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The interpreter that frontrun is installed in.
    pub python: PathBuf,
    /// Options of the interpreter, as in `-O`.
    pub options: Vec<String>,
    /// What the interpreter runs: `script.py a`, `-m module a` or `-c code a`.
    pub command: Vec<String>,
    /// The shim to preload.
    pub preload: Option<PathBuf>,
    /// Working directory; that of the caller when there is none.
    pub directory: Option<PathBuf>,
    /// Globs on the names of modules to explore in addition to the default scope.
    pub include: Vec<String>,
    /// Globs on the names of modules in which threads switch only where the code waits.
    pub exclude: Vec<String>,
    /// Globs on the names of modules whose code is not seen.
    pub trust: Vec<String>,
    /// The program's clock: `virtual`, `explored` or `real`.
    pub clock: String,
    /// Whether waits on conditions may end although nobody has notified them.
    pub spurious_wakeups: bool,
    /// Whether threads switch inside C code that iterates, too.
    pub free_threaded: bool,
    /// Whether what servers tell the program is recorded.
    pub record_io: bool,
    /// Globs on what is not to be in such a recording.
    pub redact: Vec<String>,
    /// `PYTHONHASHSEED` of the runs.
    pub hash_seed: String,
    /// For an exploration that was called from within the program: which call to replay.
    pub call: Option<String>,
}

impl Target {
    /// Understands a command line. `python` is the interpreter of this installation.
    pub fn parse(words: &[OsString], python: &Path, directory: Option<&Path>) -> Result<Target, ReplayError> {
        let words: Vec<String> = words.iter().map(unicode).collect::<Result<_, _>>()?;
        let (options, command) = match words.first() {
            None => return Err(ReplayError::NoTarget("name a script, `-m module`, or a `python` command")),
            Some(name) if is_python(name, python)? => split_options(&words[1..]),
            Some(name) if name == "pytest" || name == "py.test" => {
                (Vec::new(), ["-m", "pytest"].map(str::to_owned).iter().chain(&words[1..]).cloned().collect())
            }
            Some(_) => (Vec::new(), words.clone()),
        };
        let mut target = Target {
            python: python.to_owned(),
            options,
            command,
            directory: directory.map(Path::to_owned),
            clock: VIRTUAL_CLOCK.to_owned(),
            hash_seed: hash_seed(std::env::var("PYTHONHASHSEED").ok()),
            ..Target::default()
        };
        target.check_command()?;
        Ok(target)
    }

    /// What a recording is a recording of.
    pub fn of_recording(header: &Header, python: &Path) -> Result<Target, ReplayError> {
        let directory = Path::new(&header.environment.directory);
        let directory = (!header.environment.directory.is_empty()).then_some(directory);
        if let Some(missing) = directory.filter(|directory| !directory.is_dir()) {
            return Err(ReplayError::TargetNotFound {
                name: missing.display().to_string(),
                reason: "the directory in which this was recorded does not exist",
            });
        }
        let words: Vec<OsString> = header.target.command.iter().map(OsString::from).collect();
        let flags = |name: &str| -> Vec<String> {
            let named = header.environment.flags.iter().filter(|(flag, _)| flag == name);
            named.map(|(_, value)| value.clone()).collect()
        };
        let mut target = Target::parse(&words, python, directory)?;
        target.include = flags("include");
        target.exclude = flags("exclude");
        target.trust = flags("trust");
        target.record_io = !flags("record-io").is_empty();
        target.redact = flags("redact");
        if let Some(clock) = flags("clock").pop() {
            target.clock = clock;
        }
        target.spurious_wakeups = !flags("spurious-wakeups").is_empty();
        target.free_threaded = !flags("free-threaded").is_empty();
        target.call = header.target.call.clone();
        if !header.environment.hash_seed.is_empty() {
            target.hash_seed = header.environment.hash_seed.clone();
        }
        Ok(target)
    }

    /// The command line in its one form, for the header of recordings.
    pub fn command_line(&self) -> Vec<String> {
        let python = ["python".to_owned()];
        python.iter().chain(&self.options).chain(&self.command).cloned().collect()
    }

    /// A short name for files: that of the script, module or test file.
    pub fn slug(&self) -> String {
        let name = match self.command.first().map(String::as_str) {
            Some("-m") if self.command.get(1).is_some_and(|module| module == "pytest") => {
                // Words that are neither options nor paths are values of options.
                let is_path = |word: &&String| word.contains(".py") || Path::new(word).exists();
                let test = self.command[2..].iter().find(is_path);
                test.map_or("pytest", String::as_str)
            }
            Some("-m") => self.command.get(1).map_or("module", String::as_str),
            Some("-c") => "command",
            Some(script) => script,
            None => "program",
        };
        let name = name.trim_end_matches('/').rsplit('/').next().unwrap_or(name);
        let name = name.replace("::", ".").replace(".py", "");
        let clean: String =
            name.chars().map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
        let clean = clean.trim_matches('.');
        if clean.is_empty() { "program".to_owned() } else { clean.to_owned() }
    }

    fn check_command(&mut self) -> Result<(), ReplayError> {
        let Some(first) = self.command.first() else {
            return Err(ReplayError::NoTarget("`python` alone is an interactive session; name a script"));
        };
        match first.as_str() {
            "-m" | "-c" if self.command.len() < 2 => {
                Err(ReplayError::NoTarget("`-m` needs a module and `-c` needs code"))
            }
            "-m" | "-c" => Ok(()),
            "-" => Err(ReplayError::NoTarget("a program on standard input could not be run again")),
            option if option.starts_with('-') => Err(ReplayError::UnknownOption(option.to_owned())),
            script => {
                let found = find_script(script, self.directory.as_deref())?;
                self.command[0] = found;
                Ok(())
            }
        }
    }
}

fn unicode(word: &OsString) -> Result<String, ReplayError> {
    word.to_str()
        .map(str::to_owned)
        .ok_or_else(|| ReplayError::NotUnicode(word.to_string_lossy().into_owned()))
}

/// The seed to fix: without one, every run would hash strings differently and sets would change their order.
fn hash_seed(from_environment: Option<String>) -> String {
    from_environment.filter(|seed| seed.parse::<u32>().is_ok()).unwrap_or_else(|| "0".to_owned())
}

/// Whether the word names the interpreter; one that is evidently another one is an error, not a script.
fn is_python(word: &str, own: &Path) -> Result<bool, ReplayError> {
    let name = word.rsplit('/').next().unwrap_or(word);
    let Some(version) = name.strip_prefix("python") else { return Ok(false) };
    if !version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b't') {
        return Ok(false);
    }
    let other = || ReplayError::OtherInterpreter { named: word.to_owned(), own: own.to_owned() };
    if word.contains('/') {
        let same = std::fs::canonicalize(word).ok() == std::fs::canonicalize(own).ok();
        return if same { Ok(true) } else { Err(other()) };
    }
    let real = std::fs::canonicalize(own).unwrap_or_else(|_| own.to_owned());
    let real = real.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let own_version = real.strip_prefix("python").unwrap_or_default();
    // `python` and `python3` mean "this one"; only a contradiction in the minor version is an error.
    if version.contains('.') && own_version.contains('.') && version != own_version {
        return Err(other());
    }
    Ok(true)
}

/// Splits what follows `python` into its options and what it runs.
fn split_options(words: &[String]) -> (Vec<String>, Vec<String>) {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        match word.as_str() {
            "-m" | "-c" | "-" => break,
            "-X" | "-W" | "--check-hash-based-pycs" => at += 2,
            option if option.starts_with('-') => at += 1,
            _ => break,
        }
    }
    let at = at.min(words.len());
    (words[..at].to_vec(), words[at..].to_vec())
}

/// The script itself, or a command of that name that is written in Python.
fn find_script(name: &str, directory: Option<&Path>) -> Result<String, ReplayError> {
    let here = directory.map_or_else(|| PathBuf::from(name), |directory| directory.join(name));
    if here.exists() {
        return Ok(name.to_owned());
    }
    let not_found = |reason| Err(ReplayError::TargetNotFound { name: name.to_owned(), reason });
    if name.contains('/') || name.ends_with(".py") {
        return not_found("there is no such file");
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(command) =
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
    else {
        return not_found("there is no such file or command; a module is run as `-m name`");
    };
    let text = std::fs::read(&command).unwrap_or_default();
    let first_line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if first_line.starts_with(b"#!") && first_line.windows(6).any(|window| window == b"python") {
        return unicode(&command.into_os_string());
    }
    not_found("this command is not a Python program")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Target, ReplayError> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        Target::parse(
            &words,
            Path::new("/nowhere/bin/python3.12"),
            Some(Path::new(env!("CARGO_MANIFEST_DIR"))),
        )
    }

    fn command(words: &[&str]) -> (Vec<String>, Vec<String>) {
        let target = parse(words).unwrap();
        (target.options, target.command)
    }

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn every_way_to_name_a_program_comes_to_one_form() {
        let script = strings(&["src/lib.rs", "-x"]);
        assert_eq!(command(&["src/lib.rs", "-x"]), (vec![], script.clone()));
        assert_eq!(command(&["python", "src/lib.rs", "-x"]), (vec![], script.clone()));
        let options = strings(&["-O", "-X", "dev"]);
        assert_eq!(command(&["python3", "-O", "-X", "dev", "src/lib.rs", "-x"]), (options, script));
        assert_eq!(command(&["-m", "app", "a"]), (vec![], strings(&["-m", "app", "a"])));
        assert_eq!(command(&["pytest", "-q", "t.py"]), (vec![], strings(&["-m", "pytest", "-q", "t.py"])));
        assert_eq!(command(&["python3.12", "-c", "pass"]), (vec![], strings(&["-c", "pass"])));
        let line = parse(&["python", "-O", "src/lib.rs"]).unwrap().command_line();
        assert_eq!(line, strings(&["python", "-O", "src/lib.rs"]));
    }

    #[test]
    fn what_cannot_be_run_is_named() {
        assert!(matches!(parse(&["nothing.py"]), Err(ReplayError::TargetNotFound { .. })));
        assert!(matches!(parse(&["python", "nothing.py"]), Err(ReplayError::TargetNotFound { .. })));
        assert!(matches!(parse(&["no-such-command"]), Err(ReplayError::TargetNotFound { .. })));
        assert!(matches!(parse(&["python3.11", "-c", "pass"]), Err(ReplayError::OtherInterpreter { .. })));
        for words in [&[][..], &["python"], &["-m"], &["-O", "x.py"], &["python", "-"]] {
            let error = parse(words).unwrap_err();
            assert!(matches!(error, ReplayError::NoTarget(_) | ReplayError::UnknownOption(_)), "{words:?}");
        }
    }

    #[test]
    fn a_slug_is_a_file_name() {
        let slug = |words: &[&str]| parse(words).unwrap().slug();
        assert_eq!(slug(&["src/lib.rs"]), "lib.rs");
        assert_eq!(slug(&["pytest", "-q", "tests/test_a.py::test_b"]), "test_a.test_b");
        assert_eq!(slug(&["-m", "my.app"]), "my.app");
        assert_eq!(slug(&["pytest", "-p", "no:cacheprovider", "test_a.py"]), "test_a");
        assert_eq!(slug(&["pytest"]), "pytest");
    }

    #[test]
    fn only_a_number_is_a_seed() {
        assert_eq!(hash_seed(None), "0");
        assert_eq!(hash_seed(Some("random".to_owned())), "0");
        assert_eq!(hash_seed(Some("7".to_owned())), "7");
    }
}
