//! What is meant: typed flags turned into one wish without contradictions. Never parses text and never asks a cluster.

use std::{path::PathBuf, time::Duration};

use super::{
    args::{AnswerArgs, Args, DocumentOutput, GetArgs, ListOutput, OrderArgs, PlaceArgs, PlanArgs, ReportOutput, Verb},
    backtest::{Backtest, history::Server},
    convert::Converted,
    document::Form,
    files::{BacktestArgs, ColorWord, LintArgs, LintOutput, Shell, SimulateArgs},
    lint::{Linted, Report},
    simulate::Simulate,
    typed::Instant,
};
use crate::api::{Moment, status::Color};

/// Which cluster and namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Another kubeconfig file than the usual.
    pub kubeconfig: Option<PathBuf>,
    /// Another context than the current.
    pub context: Option<String>,
    /// Another namespace than the context's.
    pub namespace: Option<String>,
    /// Another cluster than the context's.
    pub cluster: Option<String>,
    /// Another user of the kubeconfig than the context's.
    pub signed_in: Option<String>,
    /// How long one answer may take; zero is for ever.
    pub request_timeout: Duration,
    /// Somebody in whose name is spoken.
    pub user: Option<String>,
    /// And the groups of that user.
    pub groups: Vec<String>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// List rollouts.
    Get {
        /// Which ones.
        which: Which,
        /// In which shape.
        shape: Shape,
    },
    /// Tell the story of one.
    Status {
        /// Its name.
        name: String,
        /// As a screen, or in another way.
        shape: Shape,
    },
    /// Draw one, live.
    Watch {
        /// Its name.
        name: String,
    },
    /// Serve a page about them, live.
    Dashboard {
        /// On this port; 0 for one that is free.
        port: u16,
        /// Rollouts of every namespace.
        everywhere: bool,
    },
    /// Tell what was tried before.
    History {
        /// Name of the rollout.
        name: String,
        /// As a document instead of tables.
        shape: Option<Form>,
    },
    /// Print the record of an attempt.
    Report {
        /// Name of the rollout.
        name: String,
        /// Number of the attempt; the newest without one.
        attempt: Option<i64>,
        /// In which shape.
        shape: ReportOutput,
    },
    /// Say how long each step takes.
    Plan {
        /// Of what.
        what: Planned,
        /// What was typed of the traffic.
        given: Given,
        /// As a document instead of a table.
        shape: Option<Form>,
    },
    /// Say what a reason means.
    Explain {
        /// The word; all of them without one.
        word: Option<String>,
        /// As a document instead of lines.
        shape: Option<Form>,
    },
    /// Say what is wrong with manifests.
    Lint(Linted),
    /// Hold gates against what a Prometheus has stored.
    Backtest(Backtest),
    /// Play a scenario with a manifest.
    Simulate(Simulate),
    /// Turn somebody else's analyses into gates.
    Convert(Converted),
    /// Say something to a rollout.
    Order(Order),
    /// Print the script that completes words in a shell.
    Completion(Shell),
    /// Write the man pages into this folder.
    Man(PathBuf),
    /// Tell the version.
    Version {
        /// As a document instead of a line.
        shape: Option<Form>,
    },
}

/// One word to a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Name of the rollout.
    pub name: String,
    /// What is said.
    pub say: Say,
    /// Why.
    pub reason: Option<String>,
    /// How long the operator's answer is waited for; not at all without it.
    pub patience: Option<Duration>,
    /// The answer as a document instead of a line.
    pub shape: Option<Form>,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    /// Take traffic back now.
    Abort,
    /// Agree; what is left out is taken from what is waited for.
    Approve {
        /// In which role.
        role: Option<String>,
        /// What for.
        before: Option<String>,
    },
    /// Set `paused`.
    Pause,
    /// Everything with the next step.
    Promote,
    /// Refuse.
    Reject,
    /// Go on, whatever it stands still for.
    Resume,
    /// Try the revision once more.
    Retry,
    /// Leave out the rest of this step.
    Skip,
}

/// What is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planned {
    /// A rollout of the cluster.
    Rollout(String),
    /// A manifest; `-` is standard input.
    File(PathBuf),
}

/// What was typed of the traffic.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// Requests a second.
    pub rps: Option<f64>,
    /// The share that is bad, for every gate.
    pub rate: Option<f64>,
    /// The same for single gates.
    pub rates: Vec<(String, f64)>,
}

/// Which rollouts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// This one.
    One(String),
    /// All of the namespace.
    Namespace,
    /// All of the cluster.
    Everywhere,
}

/// How rollouts are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The columns of `kubectl get`.
    Table,
    /// The columns of `kubectl get -o wide`.
    Wide,
    /// One name a line.
    Names,
    /// The objects.
    Objects(Form),
}

impl Wish {
    /// What the words mean at this time.
    pub fn read(args: Args, now: Moment) -> (Place, Self) {
        let place = place(args.place);
        let wish = match args.verb {
            Verb::Get(get) => Self::Get { shape: shape(get.output), which: which(get) },
            Verb::Status(status) => Self::Status { name: status.name, shape: shape(status.output) },
            Verb::History(history) => Self::History { name: history.name, shape: history.output.map(form) },
            Verb::Report(r) => Self::Report { name: r.name, attempt: r.attempt, shape: r.output },
            Verb::Plan(plan) => self::plan(plan),
            Verb::Explain(explain) => Self::Explain { word: explain.reason, shape: explain.output.map(form) },
            Verb::Watch(watch) => Self::Watch { name: watch.name },
            Verb::Dashboard(d) => Self::Dashboard { port: d.port, everywhere: d.all_namespaces },
            Verb::Backtest(backtest) => self::backtest(backtest, place.namespace.clone(), now),
            Verb::Simulate(s) => self::simulate(s, place.namespace.clone()),
            Verb::Convert(c) => Self::Convert(Converted { files: c.files, name: c.name, shape: c.output.map(form) }),
            Verb::Lint(lint) => self::lint(lint),
            Verb::Completion(completion) => Self::Completion(completion.shell),
            Verb::Man(man) => Self::Man(man.dir),
            Verb::Approve(a) => {
                let say = Say::Approve { role: a.role, before: a.before };
                order(say, OrderArgs { name: a.name, reason: a.reason, answer: a.answer })
            }
            Verb::Reject(r) => order(Say::Reject, OrderArgs { name: r.name, reason: Some(r.reason), answer: r.answer }),
            Verb::Pause(p) => order(Say::Pause, OrderArgs { name: p.name, reason: None, answer: p.answer }),
            Verb::Promote(o) => order(Say::Promote, o),
            Verb::Skip(o) => order(Say::Skip, o),
            Verb::Resume(o) => order(Say::Resume, o),
            Verb::Abort(o) => order(Say::Abort, o),
            Verb::Retry(o) => order(Say::Retry, o),
            Verb::Version(version) => Self::Version { shape: version.output.map(form) },
        };
        (place, wish)
    }
}

impl Wish {
    /// Whether a program reads what is said, so that nothing in it may be colored.
    pub const fn is_for_machines(&self) -> bool {
        match self {
            Self::Get { shape, .. } | Self::Status { shape, .. } => matches!(shape, Shape::Objects(_) | Shape::Names),
            Self::History { shape, .. }
            | Self::Plan { shape, .. }
            | Self::Explain { shape, .. }
            | Self::Order(Order { shape, .. })
            | Self::Version { shape } => shape.is_some(),
            Self::Lint(linted) => !matches!(linted.report, Report::Text),
            Self::Backtest(backtest) => backtest.shape.is_some(),
            Self::Simulate(simulate) => simulate.shape.is_some(),
            Self::Watch { .. }
            | Self::Dashboard { .. }
            | Self::Report { .. }
            | Self::Convert(_)
            | Self::Completion(_)
            | Self::Man(_) => true,
        }
    }
}

fn place(args: PlaceArgs) -> Place {
    let PlaceArgs { kubeconfig, context, namespace, cluster, signed_in, request_timeout, user, groups } = args;
    Place { kubeconfig, context, namespace, cluster, signed_in, request_timeout, user, groups }
}

fn order(say: Say, args: OrderArgs) -> Wish {
    let AnswerArgs { timeout, no_wait, output } = args.answer;
    let patience = (!no_wait).then_some(timeout);
    Wish::Order(Order { name: args.name, say, reason: args.reason, patience, shape: output.map(form) })
}

fn backtest(args: BacktestArgs, namespace: Option<String>, now: Moment) -> Wish {
    let at = |instant: Instant| match instant {
        Instant::Now => now,
        Instant::Ago(span) => now.minus(span),
        Instant::At(at) => at,
    };
    let color = match args.color {
        ColorWord::Blue => Color::Blue,
        ColorWord::Green => Color::Green,
    };
    let server = Server { url: args.prometheus, token_file: args.token_file };
    let (from, to) = (at(args.from), at(args.to));
    let shape = args.output.map(form);
    Wish::Backtest(Backtest { file: args.file, from, to, server, color, namespace, svg: args.svg, shape })
}

fn simulate(args: SimulateArgs, namespace: Option<String>) -> Wish {
    let SimulateArgs { files, scenario, bad, rps, output } = args;
    Wish::Simulate(Simulate { files, scenario, bad, rps, namespace, shape: output.map(form) })
}

fn lint(args: LintArgs) -> Wish {
    let LintArgs { files, rps, rates, strict, output } = args;
    let report = match output {
        LintOutput::Text => Report::Text,
        LintOutput::Json => Report::Json,
        LintOutput::Sarif => Report::Sarif,
    };
    Wish::Lint(Linted { files, given: given(rps, rates), strict, report })
}

fn given(rps: Option<f64>, rates: Vec<(Option<String>, f64)>) -> Given {
    let (of_all, of_one): (Vec<_>, Vec<_>) = rates.into_iter().partition(|(gate, _)| gate.is_none());
    let rate = of_all.last().map(|(_, rate)| *rate);
    let rates = of_one.into_iter().filter_map(|(gate, rate)| Some((gate?, rate))).collect();
    Given { rps, rate, rates }
}

fn plan(args: PlanArgs) -> Wish {
    let PlanArgs { name, file, rps, rates, output } = args;
    let what = file.map_or_else(|| Planned::Rollout(name.unwrap_or_default()), Planned::File);
    Wish::Plan { what, given: given(rps, rates), shape: output.map(form) }
}

fn which(get: GetArgs) -> Which {
    match get.name {
        Some(name) => Which::One(name),
        None if get.all_namespaces => Which::Everywhere,
        None => Which::Namespace,
    }
}

const fn shape(output: Option<ListOutput>) -> Shape {
    match output {
        None => Shape::Table,
        Some(ListOutput::Wide) => Shape::Wide,
        Some(ListOutput::Name) => Shape::Names,
        Some(ListOutput::Json) => Shape::Objects(Form::Json),
        Some(ListOutput::Yaml) => Shape::Objects(Form::Yaml),
    }
}

const fn form(output: DocumentOutput) -> Form {
    match output {
        DocumentOutput::Json => Form::Json,
        DocumentOutput::Yaml => Form::Yaml,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::{CommandFactory, Parser, error::ErrorKind};

    use super::{Given, Order, Place, Planned, Say, Shape, Which, Wish};
    use crate::{
        api::Moment,
        cli::{
            args::{Args, ReportOutput},
            document::Form,
        },
    };

    fn read(line: &str) -> (Place, Wish) {
        Wish::read(Args::try_parse_from(line.split(' ')).unwrap(), Moment::from_unix(1_795_269_600))
    }

    #[test]
    fn flags_stand_before_or_after_the_verb() {
        let (before, _) = read("x -n llm --context lab get");
        let (after, wish) = read("x get --context lab -n llm");
        assert_eq!(before, after);
        assert_eq!(after.namespace.as_deref(), Some("llm"));
        let (other, _) = read("x get --cluster prod --user eve --request-timeout 5");
        let signed_in = (other.cluster.as_deref(), other.signed_in.as_deref());
        assert_eq!((signed_in, other.request_timeout), ((Some("prod"), Some("eve")), Duration::from_secs(5)));
        let (other, _) = read("x abort chat --as ana --as-group sre");
        assert_eq!((other.user.as_deref(), other.groups), (Some("ana"), vec!["sre".to_owned()]));
        assert_eq!(wish, Wish::Get { which: Which::Namespace, shape: Shape::Table });
    }

    #[test]
    fn shapes_and_names_are_read() {
        let (_, wish) = read("x get chat -o yaml");
        assert_eq!(wish, Wish::Get { which: Which::One("chat".into()), shape: Shape::Objects(Form::Yaml) });
        let (_, wish) = read("x get -A -o wide");
        assert_eq!(wish, Wish::Get { which: Which::Everywhere, shape: Shape::Wide });
        let (_, wish) = read("x status chat -ojson");
        assert_eq!(wish, Wish::Status { name: "chat".into(), shape: Shape::Objects(Form::Json) });
    }

    #[test]
    fn orders_are_read() {
        let plain = |say: Say| Order {
            name: "chat".into(),
            say,
            reason: None,
            patience: Some(Duration::from_secs(30)),
            shape: None,
        };
        let of_role = Say::Approve { role: Some("sre".into()), before: None };
        let of_step = Say::Approve { role: Some("sre".into()), before: Some("Step/2".into()) };
        let table = [
            ("x promote chat", plain(Say::Promote)),
            ("x skip chat --no-wait", Order { patience: None, ..plain(Say::Skip) }),
            ("x retry chat --timeout 2m30s", Order { patience: Some(Duration::from_secs(150)), ..plain(Say::Retry) }),
            ("x resume chat --reason seen", Order { reason: Some("seen".into()), ..plain(Say::Resume) }),
            ("x pause chat -ojson", Order { shape: Some(Form::Json), ..plain(Say::Pause) }),
            ("x abort chat", plain(Say::Abort)),
            ("x approve chat", plain(Say::Approve { role: None, before: None })),
            ("x approve chat --role sre", plain(of_role)),
            ("x approve chat --role sre --before Step/2", plain(of_step)),
            ("x reject chat --reason slow", Order { reason: Some("slow".into()), ..plain(Say::Reject) }),
        ];
        for (line, expected) in table {
            assert_eq!(read(line).1, Wish::Order(expected), "{line}");
        }
    }

    #[test]
    fn questions_about_the_past_and_about_words_are_read() {
        assert_eq!(read("x history chat").1, Wish::History { name: "chat".into(), shape: None });
        let word = Some("NoData".to_owned());
        assert_eq!(read("x explain NoData -oyaml").1, Wish::Explain { word, shape: Some(Form::Yaml) });
        assert_eq!(read("x explain").1, Wish::Explain { word: None, shape: None });
    }

    #[test]
    fn reports_are_read() {
        let report = |attempt, shape| Wish::Report { name: "chat".into(), attempt, shape };
        assert_eq!(read("x report chat").1, report(None, ReportOutput::Md));
        assert_eq!(read("x report chat --attempt 3 -o html").1, report(Some(3), ReportOutput::Html));
        assert_eq!(read("x report chat -ojson").1, report(None, ReportOutput::Json));
    }

    #[test]
    fn plans_are_read() {
        let plan = |line: &str| match read(line).1 {
            Wish::Plan { what, given, shape } => (what, given, shape),
            other => panic!("{other:?}"),
        };
        let (what, given, _) = plan("x plan chat");
        assert_eq!((what, given), (Planned::Rollout("chat".into()), Given::default()));
        let (what, given, shape) = plan("x plan -f - --rps 2.5 --rate 1% --rate slower=5% -ojson");
        assert_eq!((what, shape), (Planned::File("-".into()), Some(Form::Json)));
        let expected = Given { rps: Some(2.5), rate: Some(0.01), rates: vec![("slower".into(), 0.05)] };
        assert_eq!(given, expected);
    }

    #[test]
    fn a_period_is_read_from_now_on() {
        let line = "x backtest chat.yaml --from 6h --prometheus http://localhost:9090 -n llm";
        let Wish::Backtest(wish) = read(line).1 else { panic!("{line}") };
        assert_eq!((wish.from.unix(), wish.to.unix()), (1_795_248_000, 1_795_269_600));
        assert_eq!(wish.namespace.as_deref(), Some("llm"));
        let Wish::Backtest(wish) = read(&line.replace("6h", "2026-11-21T10:00:00Z --to 1h")).1 else {
            panic!("{line}")
        };
        assert_eq!((wish.from.unix(), wish.to.unix()), (1_795_255_200, 1_795_266_000));
    }

    #[test]
    fn contradictions_are_wrong_usage() {
        let lines = [
            "x get chat -A",
            "x status",
            "x get -o tree",
            "x promote",
            "x reject chat",
            "x reject chat --reason=",
            "x pause chat --reason why",
            "x approve chat --before Lunch",
            "x approve chat --before Step/0",
            "x abort chat --timeout 0s",
            "x abort chat --timeout soon",
            "x abort chat --no-wait --timeout 5s",
            "x history",
            "x report",
            "x report chat --attempt 0",
            "x report chat -o yaml",
            "x plan",
            "x plan chat -f chat.yaml",
            "x plan chat --rps 0",
            "x plan chat --rps many",
            "x plan chat --rate 100%",
            "x plan chat --rate 1s",
            "x lint",
            "x watch",
            "x convert",
            "x backtest chat.yaml --from 6h",
            "x backtest chat.yaml --from noon --prometheus http://localhost:9090",
            "x backtest chat.yaml --from 6h --prometheus localhost",
            "x lint chat.yaml -o yaml",
            "x completion tcsh",
            "x get --request-timeout soon",
            "x get --as-group sre",
        ];
        for line in lines {
            let error = Args::try_parse_from(line.split(' ')).unwrap_err();
            assert!(error.use_stderr(), "{line}");
            assert_ne!(error.kind(), ErrorKind::DisplayHelp, "{line}");
        }
    }

    #[test]
    fn the_flags_do_not_clash() {
        Args::command().debug_assert();
    }
}
