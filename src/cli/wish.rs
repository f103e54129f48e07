//! What is meant: typed flags turned into one wish without contradictions. Never parses text and never asks a cluster.

use std::path::PathBuf;

use super::{
    args::{Args, DocumentOutput, GetArgs, ListOutput, Verb},
    document::Form,
};

/// Which cluster and namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Another kubeconfig file than the usual.
    pub kubeconfig: Option<PathBuf>,
    /// Another context than the current.
    pub context: Option<String>,
    /// Another namespace than the context's.
    pub namespace: Option<String>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        /// As a document instead of a screen.
        shape: Option<Form>,
    },
    /// Tell the version.
    Version {
        /// As a document instead of a line.
        shape: Option<Form>,
    },
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
    /// What the words mean.
    pub fn read(args: Args) -> (Place, Self) {
        let place = args.place;
        let place = Place { kubeconfig: place.kubeconfig, context: place.context, namespace: place.namespace };
        let wish = match args.verb {
            Verb::Get(get) => Self::Get { shape: shape(get.output), which: which(get) },
            Verb::Status(status) => Self::Status { name: status.name, shape: status.output.map(form) },
            Verb::Version(version) => Self::Version { shape: version.output.map(form) },
        };
        (place, wish)
    }
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
    use clap::{CommandFactory, Parser, error::ErrorKind};

    use super::{Place, Shape, Which, Wish};
    use crate::cli::{args::Args, document::Form};

    fn read(line: &str) -> (Place, Wish) {
        Wish::read(Args::try_parse_from(line.split(' ')).unwrap())
    }

    #[test]
    fn flags_stand_before_or_after_the_verb() {
        let (before, _) = read("x -n llm --context lab get");
        let (after, wish) = read("x get --context lab -n llm");
        assert_eq!(before, after);
        assert_eq!(after.namespace.as_deref(), Some("llm"));
        assert_eq!(wish, Wish::Get { which: Which::Namespace, shape: Shape::Table });
    }

    #[test]
    fn shapes_and_names_are_read() {
        let (_, wish) = read("x get chat -o yaml");
        assert_eq!(wish, Wish::Get { which: Which::One("chat".into()), shape: Shape::Objects(Form::Yaml) });
        let (_, wish) = read("x get -A -o wide");
        assert_eq!(wish, Wish::Get { which: Which::Everywhere, shape: Shape::Wide });
        let (_, wish) = read("x status chat -ojson");
        assert_eq!(wish, Wish::Status { name: "chat".into(), shape: Some(Form::Json) });
    }

    #[test]
    fn contradictions_are_wrong_usage() {
        for line in ["x get chat -A", "x status", "x get -o tree", "x promote chat"] {
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
