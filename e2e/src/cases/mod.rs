//! Claims about the operator, each a function that proves it on the real servers.
//! Nothing here is shared with the demo; what both need is the kit's.

mod abort;
mod adopt;
mod aside;
mod checklists;
mod checks;
mod cli;
mod crash;
mod dialects;
mod endpoints;
mod evidence;
mod foreign;
mod forms;
mod found;
mod gatesets;
mod grpc;
mod hands;
mod inputs;
mod installed;
mod istio;
mod jobs;
mod leaving;
mod moments;
mod network;
mod notices;
mod operators;
mod orders;
mod pair;
mod prices;
mod promote;
mod providers;
mod quiet;
mod records;
mod rollback;
mod runner;
mod selector;
mod silence;
mod sizes;
mod smoke;
mod spans;
mod stand;
mod stuck;
mod third;
mod victoria;
mod warm;
mod webhooks;

use std::{path::Path, process::ExitCode};

use clap::Args;
use futures::future::BoxFuture;
use stand::Stand;

use crate::{
    kit::KitError,
    lab::{self, Lab, LabError, Options, Target},
};

/// Arguments of `e2e cases`.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Clone, Args)]
pub(crate) struct CasesArgs {
    /// Only cases whose names hold one of these; may be repeated
    #[arg(long)]
    only: Vec<String>,
    /// Those of `make faults` too
    #[arg(long)]
    faults: bool,
    /// Say which cases there are and run none
    #[arg(long)]
    list: bool,
    /// How many run at the same time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=16))]
    parallel: u16,
    /// Leave namespaces and operator as they are at the end
    #[arg(long)]
    keep: bool,
    /// Shorter looks at what must not happen; also with FAST=1
    #[arg(long)]
    fast: bool,
    /// A lab that is to be kept, by its name; without it one that ends with the cases
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    lab: Options,
}

/// Which cases may stand beside a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Any of its stage: one operator for all.
    Beside,
    /// None: it disturbs the others.
    Alone,
    /// Any of its stage: each has an operator of its own, and the common one is away.
    Own,
    /// The same, for `make faults` or by name: too long for every day.
    Faults,
    /// What is looked at when everything else is over.
    Last,
}

type Proof = for<'a> fn(&'a Stand) -> BoxFuture<'a, Result<(), KitError>>;

/// One claim.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// The claim, in words.
    pub name: &'static str,
    /// What it answers to.
    pub row: &'static str,
    /// What may stand beside it.
    pub stage: Stage,
    /// Its proof.
    pub proof: Proof,
}

macro_rules! cases {
    ($($stage:ident $row:literal: $room:ident::$name:ident,)+) => {
        &[$(Case { name: stringify!($name), row: $row, stage: Stage::$stage, proof: |stand| Box::pin($room::$name(stand)) },)+]
    };
}

/// All of them; the longest of a stage first.
const CASES: &[Case] = cases![
    Beside "route held by another tool": hands::a_writer_that_fights_is_left_alone_and_never_wins,
    Beside "statistical gates": evidence::equal_errors_are_proved_and_more_go_back,
    Beside "statistical gates": evidence::an_outage_of_both_colors_blames_nobody,
    Beside "checklists": checklists::checklist_a_is_ticked_and_a_meltdown_goes_back,
    Beside "checklists": checklists::checklist_b_is_ticked_and_a_broken_cache_asks,
    Beside "checklists": checklists::checklist_c_is_ticked_and_a_slow_one_goes_back,
    Beside "checklists": checklists::checklist_d_goes_phase_by_phase,
    Beside "checklists": checklists::checklist_e_is_ticked_and_what_saves_nothing_goes_back,
    Beside "status writes at rest": quiet::nothing_is_written_at_rest,
    Beside "newer revision at each step": moments::newer_revision_supersedes_at_each_step,
    Beside "pause longer than every deadline": moments::pause_outlasts_every_deadline,
    Beside "bake and decommission": moments::old_color_goes_after_the_bake_and_the_drain,
    Beside "abort during finishing": moments::abort_during_finishing_brings_everything_back,
    Beside "front Service only": selector::selector_only_rollout_promotes_and_rolls_back,
    Beside "requests in flight during each shift": promote::requests_in_flight_finish_during_each_shift,
    Beside "promote; both colors always have their Service": promote::promotes_through_all_steps_without_a_failed_request,
    Beside "tenths of a percent": promote::half_a_percent_is_told_in_thousandths,
    Beside "rollback by each of the three gates": rollback::rolls_back_on_error_rate,
    Beside "rollback by each of the three gates": rollback::rolls_back_on_latency,
    Beside "rollback by each of the three gates": rollback::rolls_back_on_cost,
    Beside "promote and rollback by the profile of another engine": dialects::sglang_is_promoted_and_errors_go_back,
    Beside "promote and rollback by the profile of another engine": dialects::tgi_is_promoted_and_errors_go_back,
    Beside "promote and rollback by the profile of another engine": dialects::otel_is_promoted_and_errors_go_back,
    Beside "promote and rollback by the profile of another engine": dialects::sglang_slow_goes_back,
    Beside "promote and rollback by the profile of another engine": dialects::tgi_slow_goes_back,
    Beside "promote and rollback by the profile of another engine": dialects::otel_slow_goes_back,
    Beside "the exporter is found out": found::auto_finds_vllm,
    Beside "the exporter is found out": found::auto_finds_sglang,
    Beside "the exporter is found out": found::missing_exporter_holds_the_start_and_names_its_flag,
    Beside "every metric of four engines": dialects::every_promised_metric_is_one_figure,
    Beside "gates of every form": forms::gates_of_every_form_pass_and_fail,
    Beside "a pod that starts anew midway": warm::pod_that_starts_anew_is_judged_when_it_is_warm,
    Beside "match step": aside::testers_reach_the_candidate_and_nobody_else_does,
    Beside "mirror step": aside::copies_reach_the_candidate_and_their_answers_nobody,
    Beside "mirror step": aside::bad_answers_to_copies_go_back_unseen,
    Beside "match step": aside::abort_takes_testers_home_at_once,
    Beside "pause and resume": abort::pause_holds_and_resume_goes_on,
    Beside "approval by the right person": orders::approval_is_given_by_the_right_person_only,
    Beside "checks before and hooks beside": checks::checks_come_first_and_hooks_beside,
    Beside "a look at the candidate itself": smoke::a_candidate_is_looked_at_before_it_gets_traffic,
    Beside "number of a Job": jobs::a_job_is_run_once_in_each_step_and_its_number_counts,
    Beside "gates of a set": gatesets::gates_of_a_set_hold_a_rollout_that_names_no_other,
    Beside "gates of a set": gatesets::a_set_that_vanishes_stops_the_step,
    Beside "prices of a list": prices::a_list_that_changes_is_seen_without_touching_the_rollout,
    Beside "reject and retry": orders::reject_takes_back_and_retry_tries_again,
    Beside "every command that tells": cli::every_command_tells_of_a_release_under_way,
    Beside "skip and promote": orders::skip_and_promote_go_on_at_once,
    Beside "decommission by approval": orders::old_color_is_deleted_when_somebody_agrees,
    Beside "a gate that asks; pause and resume": orders::a_gate_that_asks_is_answered,
    Beside "a service that runs already": adopt::a_service_that_runs_comes_and_leaves_without_a_failed_request,
    Beside "CR deleted mid-way": leaving::deleted_midway_leaves_traffic_on_blue,
    Beside "newer revision mid-way": leaving::newer_revision_supersedes_at_a_middle_step,
    Beside "route edited by somebody else": hands::foreign_edit_blueward_is_an_abort,
    Beside "route edited by somebody else": hands::foreign_edit_greenward_is_put_right,
    Beside "a VirtualService beside the route": istio::a_virtual_service_moves_with_the_route,
    Beside "a flag, a KServe group and an llm-d rewrite": foreign::a_feature_flag_moves_by_two_weights,
    Beside "a flag, a KServe group and an llm-d rewrite": foreign::a_kserve_group_moves_by_two_objects,
    Beside "a flag, a KServe group and an llm-d rewrite": foreign::a_model_rewrite_loses_and_regains_its_target,
    Beside "a GRPCRoute under calls": grpc::grpc_route_is_promoted_and_taken_back,
    Beside "a third backend in the rule": third::a_third_backend_keeps_its_part,
    Beside "silence after a rollback": silence::a_leak_takes_green_out_of_the_route_until_the_next_release,
    Beside "recovery after a rollback": silence::what_serves_is_looked_at_after_a_way_back,
    Beside "a pair of two namespaces": pair::a_pair_of_two_namespaces_needs_a_grant,
    Beside "a pair of two namespaces": pair::a_revoked_grant_brings_traffic_home,
    Beside "a route of another namespace": pair::a_route_of_another_namespace_needs_its_owner,
    Beside "what somebody else deploys": pair::what_somebody_else_deploys_is_promoted_and_taken_back,
    Beside "candidate that cannot come up": stuck::pods_that_cannot_come_up_are_named_with_their_reason,
    Beside "room for a candidate": stuck::a_candidate_finds_room_before_it_is_made,
    Beside "autoscalers and sizes": sizes::an_autoscaler_of_each_color_keeps_what_serves,
    Beside "autoscalers and sizes": sizes::a_candidate_grows_with_its_share,
    Beside "blue shrunk by others": sizes::the_way_home_gives_blue_its_pods_back,
    Beside "blue gone": sizes::no_answer_is_better_where_the_manifest_says_so,
    Beside "candidate dies mid-way": rollback::candidate_that_dies_midway_goes_home,
    Beside "bad input": inputs::server_refuses_bad_manifests_and_takes_good_ones,
    Beside "bad input": inputs::conditions_name_what_is_wrong_and_traffic_is_untouched,
    Beside "bad input": inputs::two_rollouts_on_one_route_do_not_quarrel,
    Alone "abort": abort::abort_takes_traffic_home_at_once,
    Alone "abort": abort::abort_works_while_prometheus_hangs,
    Alone "statistical gates across lost samples": evidence::evidence_outlives_the_samples,
    Alone "provider stops": providers::prometheus_that_stops_is_waited_for,
    Own "statistical gates across a restart": evidence::evidence_outlives_the_operator,
    Own "provider lies": providers::provider_that_lies_moves_nothing,
    Own "a provider that is no Prometheus": victoria::victoria_metrics_is_asked_as_well,
    Own "a quarrel that ends": hands::a_quarrel_that_ends_lets_the_release_go_on,
    Own "number of an endpoint": endpoints::a_number_of_an_endpoint_is_believed_when_it_is_one,
    Own "webhook that lies or hangs": webhooks::a_webhook_is_promoted_and_taken_back_whatever_it_says,
    Own "operator killed in the middle of each step": operators::operator_killed_in_each_step,
    Own "installed, upgraded, rolled back, uninstalled": installed::helm_changes_the_operator_in_the_middle_of_a_release,
    Own "operator away while the release changes": moments::release_changes_while_the_operator_is_away,
    Own "operator killed during each hook": checks::operator_killed_during_a_check_and_a_hook,
    Own "operator killed at its writes": crash::operator_dies_at_a_sample_of_its_writes,
    Own "trouble with the API server": network::bad_figures_lead_home_through_every_trouble_with_the_api_server,
    Own "trouble with the API server": network::nothing_goes_forward_while_status_cannot_be_written,
    Own "isolation of the way home": network::a_crowd_that_waits_keeps_nobody_from_going_home,
    Own "a provider behind a bad line": network::answers_cut_on_the_way_move_nothing,
    Own "two replicas with the leader stopped": network::leader_that_stood_still_writes_nothing_more,
    Own "two replicas, the leader cut off from its provider": network::standby_takes_home_what_a_blind_leader_keeps,
    Own "people are told": notices::people_are_told_on_every_channel_once,
    Own "passes are told as spans": spans::spans_of_passes_reach_a_collector,
    Own "two replicas with the leader killed": operators::leader_killed_of_two_replicas,
    Own "two replicas with the leader killed": operators::leader_stopped_cleanly_hands_over_at_once,
    Faults "operator killed at its writes": crash::operator_dies_at_every_write,
    Last "its own RBAC": quiet::operator_was_forbidden_nothing_under_its_own_account,
];

/// Runs the cases, inside a lab unless the user named a cluster.
pub(crate) fn run(arguments: &CasesArgs) -> Result<ExitCode, Box<dyn std::error::Error>> {
    if arguments.list || std::env::var_os(lab::VARIABLE).is_some() {
        return block_on(runner::run(arguments));
    }
    match (lab::target(), &arguments.name) {
        (Target::Foreign(_), _) => block_on(runner::run(arguments)),
        (Target::Lab, Some(name)) => enter(&Lab::ensure(name, &arguments.lab)?),
        (Target::Lab, None) => enter(&Lab::ephemeral(&arguments.lab)?),
    }
}

/// The same command again, inside.
fn enter(lab: &Lab) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let status = lab::enter(lab, std::env::args_os().skip(1))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

fn block_on(future: impl Future<Output = Result<ExitCode, KitError>>) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(LabError::file(Path::new("the runtime")))?;
    Ok(runtime.block_on(future)?)
}
