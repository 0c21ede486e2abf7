"""Write what a finished labelling gives: labels with card, or suggestions."""

import json

from harness.label import label_file, suggestion_file, task_file
from harness.label.account import Account, to_json
from harness.label.card import render_card
from harness.label.columns import build_columns, fit_postprocessors
from harness.label.job import LabelJob
from harness.label.rule_saving import save_rule
from harness.label.suggestion_file import Suggestion
from harness.label.suggestions import suggest_rows
from harness.label.training import read_probabilities


def write_labels(job: LabelJob) -> Account:
    """Write the labels, their card and its JSON; return the account of them.

    The cells of the job's run must be finished; raises DataError otherwise, or if the source changes meanwhile. The
    rule is saved last, where that was asked for.
    """
    source, out = job.source.path, job.options.out
    state = label_file.file_state(source)
    proba = read_probabilities(job.label_run)
    fitted = fit_postprocessors(job, proba)
    account, columns = build_columns(job, proba, fitted)
    origin = account.provenance
    metadata = {
        "data": origin.sha256,
        "run_id": origin.run_id,
        "labeler": origin.labeler,
        "simulated": origin.simulated,
    }
    label_file.write_with_columns(job.rows, out, columns, metadata, state)
    label_file.write_text(render_card(account), job.card)
    label_file.write_text(json.dumps(to_json(account), indent=1) + "\n", out.with_suffix(".json"))
    if job.options.save is not None:
        save_rule(job.label_run, proba, fitted.refit, account, job.options.save)
    return account


def write_suggestion(job: LabelJob, k: int) -> Suggestion:
    """Write the k rows to label next; return them with the reasons.

    The cells of the job's run must be finished; raises DataError otherwise.
    """
    suggestion = suggest_rows(job, k)
    if job.options.form is not None:
        classes = job.label_run.dataset.classes.names
        task_file.write_tasks(job.options.form, suggestion.tasks, classes, job.label_run.labeler, job.options.out)
        return suggestion
    metadata = {
        "data": job.source.sha256,
        "labeler": job.label_run.labeler,
        "suggested": len(suggestion.rows),
        "simulated": job.run.simulated,
    }
    suggestion_file.write_rows(job.rows, job.options.out, suggestion, metadata)
    return suggestion
