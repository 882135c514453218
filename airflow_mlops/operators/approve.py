"""Approval: a person decides, in Airflow, with the evidence before their eyes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import Param

from airflow_mlops.hooks.platform import report_url
from airflow_mlops.hooks.tasks import failures_for_airflow, pipeline_run
from airflow_mlops.operators._base import Document, StepOperator
from airflow_mlops.operators._notify import Notifying

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_mlops.core.gate.rules import Blessing
    from airflow_mlops.core.promotion.approval import Approval
    from airflow_mlops.core.registry.journal import ModelVersion

__all__ = ["ApprovePromotionOperator"]


class ApprovePromotionOperator(Notifying, StepOperator, ApprovalOperator):
    """Ask a person whether a version may become champion, where one is to be asked.

    The task waits as Airflow's *required action* and takes no worker. It gives an
    :class:`~airflow_mlops.core.promotion.approval.Approval`, bound to the evidence that was shown, or nothing where
    nobody had to be asked. What is declined is a normal end of the run: what comes after is skipped, and the
    champion stays. An answer to something that has changed in the meantime fails the task. See
    :mod:`airflow_mlops.steps.promotion.approve`.

    Takes what :class:`~airflow.providers.standard.operators.hitl.ApprovalOperator` takes, such as ``response_timeout``
    (then nobody has answered, and the version is declined).

    :param version: what :class:`~airflow_mlops.operators.RegisterModelOperator` gave. (templated)
    :param blessing: what :class:`~airflow_mlops.operators.BlessModelOperator` gave. (templated)
    :param policy: with ``hold`` nothing is promoted, so nobody is asked. (templated)
    :param only_undecided: whether a person is asked only of what the gate could not decide.
    :param approvers: names of the Airflow users who may answer; empty: whoever may run the DAG.
    :param notifications: who is notified that a person is waited for, or has declined: each a
        :class:`~airflow_mlops.specs.NotificationSpec`, or its settings.
    """

    template_fields: tuple[str, ...] = ("version", "blessing", "policy", *StepOperator.template_fields)

    def __init__(
        self,
        *,
        version: Document,
        blessing: Document,
        policy: str = "automatic",
        only_undecided: bool = False,
        approvers: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            subject="",
            defaults=ApprovalOperator.REJECT,
            params={"note": Param("", type="string", title="Note", description="The ledger and the journal keep it.")},
            assigned_users=[{"id": name, "name": name} for name in approvers] or None,
            **kwargs,
        )
        self.version = version
        self.blessing = blessing
        self.policy = policy
        self.only_undecided = only_undecided
        self.approvers = approvers

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Ask, and wait; unless nobody has to be asked, or an earlier try was answered."""
        from airflow_mlops.core.observability.notifications import tell_request
        from airflow_mlops.steps.promotion.approve import find_approval, request_approval

        with failures_for_airflow():
            version, blessing = self._documents()
            if self.policy == "hold" or (blessing.is_blessed and self.only_undecided):
                return None
            platform = self.platform()
            found = find_approval(blessing, platform=platform, run=pipeline_run(context))
            if found:
                return self._conclude(found, context)
            links = {
                "What the gate saw": report_url(blessing.report_uri),
                "Model card": report_url(version.report_uri),
                "In MLflow": version.url,
            }
            shown = {title: url for title, url in links.items() if url}
            request = request_approval(version, blessing, links=shown, platform=platform)
        self.subject, self.body = request.subject, request.body
        until = f"within {self.response_timeout}" if self.response_timeout else ""
        url = HITLOperator.generate_link_to_ui_from_context(context=context)
        self.notify(tell_request(request, blessing, until=until, url=url), context)
        HITLOperator.execute(self, context)  # which does not return: the task waits
        return None

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Take the answer."""
        from airflow_mlops.steps.promotion.approve import record_answer

        answer = HITLOperator.execute_complete(self, context, event)
        user = answer["responded_by_user"] or {"name": "" if event.get("timedout") else "an unknown user"}
        with failures_for_airflow():
            version, blessing = self._documents()
            approval = record_answer(
                version,
                blessing,
                is_approved=answer["chosen_options"] == [self.APPROVE],
                by=user["name"],
                note=str(answer["params_input"].get("note") or ""),
                platform=self.platform(),
                run=pipeline_run(context),
            )
            return self._conclude(approval, context)

    def conclude(self, value: Approval, context: Context) -> None:
        """Skip the rest when it was declined."""
        from airflow_mlops.core.observability.notifications import tell_answer

        if not value.is_approved:
            self.notify(tell_answer(value), context)
            self.skip_the_rest(context, str(value))

    def _conclude(self, approval: Approval, context: Context) -> dict[str, Any]:
        from airflow_mlops.steps.promotion.approve import conclude_approval

        version, blessing = self._documents()
        conclude_approval(approval, version, blessing, platform=self.platform())
        return self.leave(approval, context)

    def _documents(self) -> tuple[ModelVersion, Blessing]:
        from airflow_mlops.core.gate.rules import Blessing
        from airflow_mlops.core.registry.journal import ModelVersion

        return ModelVersion.from_dict(self.version), Blessing.from_dict(self.blessing)
