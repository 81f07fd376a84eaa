"""Made by client/generate.py from the service's OpenAPI document; do not edit."""

from __future__ import annotations

from typing import Any

from listing_risk_client.models import (
    AcknowledgementRequest,
    AppealJudgement,
    AppealRequest,
    BanAnswer,
    BanRequest,
    BansAnswer,
    ComplaintsRequest,
    DecisionAnswer,
    EndpointRequest,
    EndpointState,
    HitRequest,
    JudgementRequest,
    LiftedAnswer,
    ManyAnswer,
    ModelAnswer,
    NoticeRequest,
    PlacedAnswer,
    ReadyAnswer,
    RefundRequest,
    ReplayRequest,
    ScoreAnswer,
    ScoreRequest,
    StatusAnswer,
    TasksRequest,
    WithdrawalRequest,
)
from listing_risk_client.transport import Transport


class Calls(Transport):
    """Every operation of the service; see `listing_risk_client.transport.Transport` for how to connect."""

    def score(self, body: ScoreRequest | dict[str, Any], **query: Any) -> ScoreAnswer:
        """Decide about one listing."""
        return ScoreAnswer.model_validate(self.call("POST", "/v1/score", body, query))

    def score_many(self, body: dict[str, Any], **query: Any) -> ManyAnswer:
        """Decide about several listings."""
        return ManyAnswer.model_validate(self.call("POST", "/v1/score-many", body, query))

    def model(self, **query: Any) -> ModelAnswer:
        """What is loaded."""
        return ModelAnswer.model_validate(self.call("GET", "/v1/model", None, query))

    def openapi(self, **query: Any) -> Any:
        """This document."""
        return self.call("GET", "/v1/openapi.json", None, query)

    def docs(self, **query: Any) -> bytes:
        """The reference page."""
        return self.content("GET", "/docs", None, query)

    def landing(self, **query: Any) -> bytes:
        """The first page."""
        return self.content("GET", "/", None, query)

    def healthz(self, **query: Any) -> StatusAnswer:
        """Whether the process runs."""
        return StatusAnswer.model_validate(self.call("GET", "/healthz", None, query))

    def livez(self, **query: Any) -> StatusAnswer:
        """Whether the process runs."""
        return StatusAnswer.model_validate(self.call("GET", "/livez", None, query))

    def readyz(self, **query: Any) -> ReadyAnswer:
        """Whether listings can be scored."""
        return ReadyAnswer.model_validate(self.call("GET", "/readyz", None, query))

    def metrics(self, **query: Any) -> bytes:
        """Counters."""
        return self.content("GET", "/metrics", None, query)

    def decision(self, decision_id: str | int, **query: Any) -> DecisionAnswer:
        """A recorded decision."""
        return DecisionAnswer.model_validate(
            self.call("GET", f"/v1/decisions/{self.quoted(decision_id)}", None, query)
        )

    def bans(self, **query: Any) -> BansAnswer:
        """Bans."""
        return BansAnswer.model_validate(self.call("GET", "/v1/bans", None, query))

    def place_ban(self, body: BanRequest | dict[str, Any], **query: Any) -> PlacedAnswer:
        """Ban an item and decide about everything on sale that matches it."""
        return PlacedAnswer.model_validate(self.call("POST", "/v1/bans", body, query))

    def ban(self, ban_id: str | int, **query: Any) -> BanAnswer:
        """A ban."""
        return BanAnswer.model_validate(self.call("GET", f"/v1/bans/{self.quoted(ban_id)}", None, query))

    def lift_ban(self, ban_id: str | int, **query: Any) -> LiftedAnswer:
        """Lift a ban and decide anew about what it held."""
        return LiftedAnswer.model_validate(
            self.call("DELETE", f"/v1/bans/{self.quoted(ban_id)}", None, query)
        )

    def ban_photo(self, ban_id: str | int, position: str | int, **query: Any) -> bytes:
        """A photo of a banned item."""
        return self.content(
            "GET", f"/v1/bans/{self.quoted(ban_id)}/photos/{self.quoted(position)}", None, query
        )

    def judge_match(
        self, ban_id: str | int, body: JudgementRequest | dict[str, Any], **query: Any
    ) -> BanAnswer:
        """Say whether a match was right; a wrong one makes the listing a confirmed look-alike."""
        return BanAnswer.model_validate(
            self.call("POST", f"/v1/bans/{self.quoted(ban_id)}/judgements", body, query)
        )

    def notices(self, **query: Any) -> Any:
        """Notices of authorities, the open ones first."""
        return self.call("GET", "/v1/notices", None, query)

    def take_notice(self, body: NoticeRequest | dict[str, Any], **query: Any) -> Any:
        """Take an order or alert in, ban its products and look for them on sale."""
        return self.call("POST", "/v1/notices", body, query)

    def notice(self, notice_id: str | int, **query: Any) -> Any:
        """A notice with its tasks and the listings found."""
        return self.call("GET", f"/v1/notices/{self.quoted(notice_id)}", None, query)

    def end_tasks(self, notice_id: str | int, body: TasksRequest | dict[str, Any], **query: Any) -> Any:
        """Mark tasks done, waived or open."""
        return self.call("POST", f"/v1/notices/{self.quoted(notice_id)}/tasks", body, query)

    def judge_hit(self, notice_id: str | int, body: HitRequest | dict[str, Any], **query: Any) -> Any:
        """Say whether a listing is the product."""
        return self.call("POST", f"/v1/notices/{self.quoted(notice_id)}/hits", body, query)

    def count_refunds(self, notice_id: str | int, body: RefundRequest | dict[str, Any], **query: Any) -> Any:
        """Say how far refunds are."""
        return self.call("POST", f"/v1/notices/{self.quoted(notice_id)}/refunds", body, query)

    def search_notice(self, notice_id: str | int, **query: Any) -> Any:
        """Look for the products on sale once more."""
        return self.call("POST", f"/v1/notices/{self.quoted(notice_id)}/search", None, query)

    def withdraw_notice(
        self, notice_id: str | int, body: WithdrawalRequest | dict[str, Any], **query: Any
    ) -> Any:
        """Take a notice back."""
        return self.call("POST", f"/v1/notices/{self.quoted(notice_id)}/withdrawal", body, query)

    def notice_evidence(self, notice_id: str | int, **query: Any) -> Any:
        """Evidence of a notice."""
        return self.call("GET", f"/v1/notices/{self.quoted(notice_id)}/evidence", None, query)

    def acknowledge(self, body: AcknowledgementRequest | dict[str, Any], **query: Any) -> Any:
        """The marketplace's word that a listing is off sale."""
        return self.call("POST", "/v1/acknowledgements", body, query)

    def refunds(self, **query: Any) -> Any:
        """Refunds that are due and not done."""
        return self.call("GET", "/v1/refunds", None, query)

    def unacknowledged(self, **query: Any) -> Any:
        """Blocks without the marketplace's word in time."""
        return self.call("GET", "/v1/unacknowledged", None, query)

    def complaints(self, body: ComplaintsRequest | dict[str, Any], **query: Any) -> Any:
        """Take consumers' complaints in."""
        return self.call("POST", "/v1/complaints", body, query)

    def sellers(self, **query: Any) -> Any:
        """Sellers with strikes, the most points first."""
        return self.call("GET", "/v1/sellers", None, query)

    def seller(self, seller_id: str | int, **query: Any) -> Any:
        """A seller: points, measure, strikes, appeals."""
        return self.call("GET", f"/v1/sellers/{self.quoted(seller_id)}", None, query)

    def statement(self, decision_id: str | int, **query: Any) -> Any:
        """The statement of reasons for the seller."""
        return self.call("GET", f"/v1/decisions/{self.quoted(decision_id)}/statement", None, query)

    def appeal(self, decision_id: str | int, body: AppealRequest | dict[str, Any], **query: Any) -> Any:
        """Appeal a decision."""
        return self.call("POST", f"/v1/decisions/{self.quoted(decision_id)}/appeals", body, query)

    def decision_evidence(self, decision_id: str | int, **query: Any) -> Any:
        """Evidence of a decision."""
        return self.call("GET", f"/v1/decisions/{self.quoted(decision_id)}/evidence", None, query)

    def appeals(self, **query: Any) -> Any:
        """Appeals."""
        return self.call("GET", "/v1/appeals", None, query)

    def one_appeal(self, appeal_id: str | int, **query: Any) -> Any:
        """An appeal with what the seller wrote."""
        return self.call("GET", f"/v1/appeals/{self.quoted(appeal_id)}", None, query)

    def judge_appeal(self, appeal_id: str | int, body: AppealJudgement | dict[str, Any], **query: Any) -> Any:
        """Let the decision stand or take it back."""
        return self.call("POST", f"/v1/appeals/{self.quoted(appeal_id)}/judgement", body, query)

    def export(self, **query: Any) -> bytes:
        """Decisions of a period as CSV, safe to open in a spreadsheet."""
        return self.content("GET", "/v1/evidence", None, query)

    def endpoints(self, **query: Any) -> Any:
        """Addresses that events go to."""
        return self.call("GET", "/v1/endpoints", None, query)

    def register_endpoint(self, body: EndpointRequest | dict[str, Any], **query: Any) -> Any:
        """Register an address; the answer holds its secret, once."""
        return self.call("POST", "/v1/endpoints", body, query)

    def remove_endpoint(self, endpoint_id: str | int, **query: Any) -> Any:
        """Remove an address and its secrets."""
        return self.call("DELETE", f"/v1/endpoints/{self.quoted(endpoint_id)}", None, query)

    def switch_endpoint(
        self, endpoint_id: str | int, body: EndpointState | dict[str, Any], **query: Any
    ) -> Any:
        """Switch sending off or on."""
        return self.call("POST", f"/v1/endpoints/{self.quoted(endpoint_id)}/state", body, query)

    def rotate_secret(self, endpoint_id: str | int, **query: Any) -> Any:
        """Give a new secret."""
        return self.call("POST", f"/v1/endpoints/{self.quoted(endpoint_id)}/rotation", None, query)

    def replay_events(
        self, endpoint_id: str | int, body: ReplayRequest | dict[str, Any], **query: Any
    ) -> Any:
        """Send events once more."""
        return self.call("POST", f"/v1/endpoints/{self.quoted(endpoint_id)}/replay", body, query)

    def deliveries(self, **query: Any) -> Any:
        """What became of deliveries, the newest first."""
        return self.call("GET", "/v1/deliveries", None, query)

    def plans(self, **query: Any) -> Any:
        """Plans."""
        return self.call("GET", "/v1/plans", None, query)

    def make_plan(self, body: dict[str, Any], **query: Any) -> Any:
        """Plan what the laboratories test next."""
        return self.call("POST", "/v1/plans", body, query)

    def plan(self, plan_id: str | int, **query: Any) -> Any:
        """A plan."""
        return self.call("GET", f"/v1/plans/{self.quoted(plan_id)}", None, query)

    def plan_file(self, plan_id: str | int, name: str | int, **query: Any) -> bytes:
        """A file of a plan: an order sheet (XLSX, CSV) or the frame (Parquet)."""
        return self.content("GET", f"/v1/plans/{self.quoted(plan_id)}/files/{self.quoted(name)}", None, query)

    def estimates(self, plan_id: str | int, **query: Any) -> Any:
        """Failure rates of the whole catalogue, with intervals."""
        return self.call("GET", f"/v1/plans/{self.quoted(plan_id)}/estimates", None, query)

    def lab_files(self, **query: Any) -> Any:
        """Results files taken in."""
        return self.call("GET", "/v1/lab-results", None, query)

    def take_results(self, body: dict[str, Any], **query: Any) -> Any:
        """Take a results file in, whole or not at all."""
        return self.call("POST", "/v1/lab-results", body, query)

    def take_orders(self, body: dict[str, Any], **query: Any) -> Any:
        """Take an orders file in, as counts and sums alone."""
        return self.call("POST", "/v1/lab-orders", body, query)

    def lab_cases(self, **query: Any) -> Any:
        """Cases, open ones first."""
        return self.call("GET", "/v1/lab-cases", None, query)

    def confirm_step(self, case_id: str | int, body: dict[str, Any], **query: Any) -> Any:
        """Confirm a step of a case."""
        return self.call("POST", f"/v1/lab-cases/{self.quoted(case_id)}/steps", body, query)
