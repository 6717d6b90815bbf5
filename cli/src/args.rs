//! The command line: types and help texts, no behaviour.

use crate::exit_code;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

const OVERVIEW: &str = "\
Finds concurrency bugs in Python programs, and proves their absence where the space is finite.

frontrun RECORDs one execution of a program to a file, ANALYZEs the file for executions that could have \
happened instead, and REPLAYs one of those in a fresh process, recording it again. EXPLORE repeats this until \
every class of executions has run or one of them fails. The program needs no change.";

const EXAMPLES: &str = "\
Begin with:
  frontrun explore python app.py          run every interleaving that matters; stop at the first failure
  frontrun replay .frontrun/app/failure-1.frz     do exactly that again
or go step by step:
  frontrun record -o app.frz python app.py
  frontrun analyze app.frz
  frontrun replay app.frz --schedule 1";

const TARGET_HELP: &str = "\
What to run: `script.py ARGS`, `-m MODULE ARGS`, `python [OPTIONS] …` or `pytest ARGS`. Everything from here on \
belongs to the program, so options of frontrun come before it.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "frontrun", version, about = "Find concurrency bugs in Python programs", long_about = OVERVIEW)]
#[command(propagate_version = true, arg_required_else_help = true, after_help = EXAMPLES)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{}", exit_code::HELP))]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a program once and write down what its threads did
    Record(Record),
    /// List races, deadlocks, and what could have happened instead
    Analyze(Analyze),
    /// Do a recorded execution again, or one of its alternatives
    Replay(Replay),
    /// Run every execution that matters, until one fails
    Explore(Explore),
    /// Print a recorded execution as source lines, one column a thread
    Show(Show),
    /// Print what a trace is a recording of
    Info(Info),
    /// Run `python ARGS` with frontrun's library preloaded, exploring nothing
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Python(Run),
    /// Run `pytest ARGS` with frontrun's library preloaded, for the pytest plugin
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Pytest(Run),
    /// Print a completion script for a shell
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// `frontrun record`.
#[derive(Debug, Args)]
#[command(
    long_about = "Run a program once and write down what its threads did.\n\nThe program runs as ever, \
    with your terminal, and frontrun exits with its code. One thread runs at a time; the order is always the \
    same. Even if the program is killed, what was recorded so far can be read."
)]
pub struct Record {
    /// The trace to write [default: frontrun-SCRIPT.PID.frz]
    #[arg(short, long, value_name = "T.frz")]
    pub output: Option<PathBuf>,
    /// Overwrite an existing file
    #[arg(short, long)]
    pub force: bool,
    #[command(flatten)]
    pub scope: Scope,
    #[arg(value_name = "TARGET", help = TARGET_HELP, required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub target: Vec<OsString>,
}

/// Which code may be interleaved.
#[derive(Debug, Args)]
pub struct Scope {
    /// Where threads may switch: `project` is all but installed packages and nearly all of the standard library; elsewhere
    /// they switch only where code waits, though what it touches is seen
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = ScopeName::Project)]
    pub scope: ScopeName,
    /// Let threads switch in these modules, too, as in `pkg.*`
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// Do not let threads switch in these modules, as in `pkg.logging`; wins over --include
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Do not look into these modules, as in `sqlalchemy.*`: what they share between threads is taken to be right, and a
    /// search without a failure is bounded; their I/O is seen
    #[arg(long, value_name = "GLOB")]
    pub trust: Vec<String>,
    /// Record what servers outside the process tell the program, for `frontrun replay --hermetic`
    #[arg(long)]
    pub record_io: bool,
    /// Replace text that matches by as many `x` in what servers are recorded to tell, as in `*@*.org`
    #[arg(long, value_name = "GLOB", requires = "record_io", value_parser = redaction)]
    pub redact: Vec<String>,
    /// What time is to the program: virtual (sleeps take none, waits give up when nothing else can happen), explored
    /// (waits may give up at any moment), or real
    #[arg(long, value_enum, default_value_t = Clock::Virtual)]
    pub clock: Clock,
    /// Let waits on a `threading.Condition` end although nobody has notified them, once in each thread of an execution
    #[arg(long)]
    pub spurious_wakeups: bool,
    /// Let threads switch inside C code that iterates, too, such as `list(ordered.keys())`, as they can on a free-threaded
    /// build of CPython
    #[arg(long)]
    pub free_threaded: bool,
}

/// A scope that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScopeName {
    /// The project
    Project,
    /// The standard library and installed packages, too
    All,
}

/// What time is to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Clock {
    Virtual,
    Explored,
    Real,
}

impl Clock {
    /// The name in the header of a recording.
    pub fn name(self) -> &'static str {
        match self {
            Clock::Virtual => "virtual",
            Clock::Explored => "explored",
            Clock::Real => "real",
        }
    }
}

/// `frontrun analyze`.
#[derive(Debug, Args)]
#[command(
    long_about = "List races, deadlocks, and what could have happened instead.\n\nEach numbered schedule \
    is an execution that differs from the recorded one in a way that matters. Run number N with `frontrun replay \
    T.frz --schedule N`. The answer depends on the file alone."
)]
pub struct Analyze {
    /// The trace.
    pub trace: PathBuf,
    /// How to print it
    #[arg(long, value_enum, default_value_t = AnalyzeFormat::Text)]
    pub format: AnalyzeFormat,
    /// Short for --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// How to print an analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AnalyzeFormat {
    /// For people
    Text,
    /// One JSON object
    Json,
    /// The happens-before graph for Graphviz
    Dot,
}

/// `frontrun replay`.
#[derive(Debug, Args)]
#[command(
    long_about = "Do a recorded execution again, or one of its alternatives.\n\nWithout --schedule, the \
    recorded order is enforced step by step in a fresh interpreter, K times over, and frontrun says how often the \
    same happened. With --schedule N, alternative N of `frontrun analyze T.frz` is run and recorded."
)]
pub struct Replay {
    /// The trace.
    pub trace: PathBuf,
    /// Run this alternative of `frontrun analyze` instead
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub schedule: Option<u32>,
    /// Where the new trace goes [default with --schedule: T.N.frz beside T]; with --times, a directory
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
    /// Overwrite an existing OUT
    #[arg(short, long)]
    pub force: bool,
    /// Without the servers that the program talks to: they are told again by the recording, made with --record-io
    #[arg(long, conflicts_with = "schedule")]
    pub hermetic: bool,
    /// How often to do it again
    #[arg(long, value_name = "K", default_value_t = 1, conflicts_with = "schedule", value_parser = clap::value_parser!(u32).range(1..))]
    pub times: u32,
    /// Kill a run after this many seconds
    #[arg(long, value_name = "S", default_value_t = 60.0, value_parser = seconds)]
    pub timeout: f64,
}

/// `frontrun explore`.
#[derive(Debug, Args)]
#[command(
    long_about = "Run every execution that matters, until one fails.\n\nExecutions that differ only in the \
    order of steps that do not touch each other are equal; frontrun runs one of each class. A run fails when a \
    thread ends in an uncaught exception, the program exits with a code other than 0, a test fails, or no thread \
    can go on. When nothing fails and nothing was left out, the verdict is `exhausted`: no interleaving fails."
)]
#[command(
    after_help = "Examples:\n  frontrun explore python app.py\n  frontrun explore --max-time 60 pytest \
    tests/test_queue.py\n  frontrun explore --json -o out python app.py | jq .verdict"
)]
pub struct Explore {
    /// Stop after this many executions
    #[arg(long, value_name = "N")]
    pub max_executions: Option<u64>,
    /// Begin no further execution after this many seconds
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub max_time: Option<f64>,
    /// Leave out schedules that take the turn from a thread that could go on more than B times
    #[arg(long, value_name = "B")]
    pub preemption_bound: Option<u32>,
    /// Draw N executions at random instead of running every class: fast, and proves nothing
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub sample: Option<u64>,
    /// What the random executions are drawn from
    #[arg(long, value_name = "N", default_value_t = 0, requires = "sample")]
    pub seed: u64,
    /// Count a data race as a failure, whatever comes of it
    #[arg(long)]
    pub fail_on_race: bool,
    /// Count only executions that a CPython with a GIL can have: it switches threads at fewer places
    #[arg(long, conflicts_with = "free_threaded")]
    pub gil: bool,
    /// Look for more failures after the first one
    #[arg(long)]
    pub keep_going: bool,
    /// Kill an execution after this many seconds; it counts as a hang
    #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = seconds)]
    pub timeout: f64,
    /// How many executions run side by side [default: one for each core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub jobs: Option<u32>,
    /// How often the first failure is confirmed in fresh interpreters
    #[arg(long, value_name = "K", default_value_t = 3)]
    pub confirm: u32,
    /// Keep the traces of all executions
    #[arg(long)]
    pub keep_all: bool,
    /// Where traces and the verdict go [default: .frontrun/NAME]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Print the verdict as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Print no progress
    #[arg(short, long)]
    pub quiet: bool,
    #[command(flatten)]
    pub scope: Scope,
    #[arg(value_name = "TARGET", help = TARGET_HELP, required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub target: Vec<OsString>,
}

/// `frontrun show`.
#[derive(Debug, Args)]
#[command(
    long_about = "Print a recorded execution as source lines, one column a thread.\n\nTime runs downwards. \
    Accesses that conflict with one of another thread carry a letter, which names what they touch."
)]
pub struct Show {
    /// The trace.
    pub trace: PathBuf,
    /// Print every step instead of source lines
    #[arg(long)]
    pub events: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `frontrun info`.
#[derive(Debug, Args)]
pub struct Info {
    /// The trace.
    pub trace: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `frontrun python` and `frontrun pytest`.
#[derive(Debug, Args)]
pub struct Run {
    /// Arguments of the program.
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<OsString>,
}

fn redaction(text: &str) -> Result<String, String> {
    if text.bytes().all(|byte| matches!(byte, b'*' | b'?')) {
        return Err("a character other than `*` and `?` is needed".to_owned());
    }
    Ok(text.to_owned())
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 1e9 => Ok(seconds),
        _ => Err("a number of seconds above 0 is needed".to_owned()),
    }
}
