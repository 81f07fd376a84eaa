"""Bundles exchanged, altered, unsigned, signed by strangers; weight files exchanged: none of it decides anything."""

from __future__ import annotations

import json
import shutil
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from features.errors import UserError
from serving.cli import main
from serving.settings import STARTER, Settings, read_settings
from serving.supply import signatures
from serving.supply.settings import SupplySettings
from training.manifest import MANIFEST, BundleError, file_hash

AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(STARTER, tmp_path / "bundle"))


def new_key(folder: Path, name: str) -> tuple[Ed25519PrivateKey, Path]:
    private, public = folder / f"{name}.pem", folder / f"{name}.pem.pub"
    signatures.make_key(private, public)
    return signatures.read_private(private), public


def trusting(*public: Path, folder: Path) -> Path:
    file = folder / "trusted.pem"
    file.write_bytes(b"# who may sign\n" + b"".join(path.read_bytes() for path in public))
    return file


def load(bundle: Path, trusted: Path | None) -> object:
    """As the service and every command load it."""
    from serving.predictor import load_predictor

    return load_predictor(Settings(bundle=bundle, supply=SupplySettings(trusted)))


def test_a_signed_bundle_serves_and_says_who_signed_it(bundle, tmp_path):
    key, public = new_key(tmp_path, "release")
    made = signatures.sign_bundle(bundle, key, AT, "kim")
    trusted = trusting(public, folder=tmp_path)
    seen = signatures.verify_bundle(bundle, signatures.read_trusted(trusted))
    assert seen == made and seen.by == "kim" and seen.at == AT
    assert load(bundle, trusted) and load(bundle, None)


def test_what_nobody_or_a_stranger_signed_is_refused_in_clear_words(bundle, tmp_path):
    key, public = new_key(tmp_path, "release")
    stranger, _ = new_key(tmp_path, "stranger")
    trusted = trusting(public, folder=tmp_path)
    with pytest.raises(signatures.SignatureError, match="is not signed; expected a signature by key"):
        load(bundle, trusted)
    signatures.sign_bundle(bundle, stranger, AT, "mallory")
    with pytest.raises(signatures.SignatureError, match="not trusted here; expected key"):
        load(bundle, trusted)
    signatures.sign_bundle(bundle, key, AT, "kim")
    assert load(bundle, trusted), "the right signature beside a stranger's is enough"


def altered(bundle: Path, how: str) -> None:
    manifest = json.loads((bundle / MANIFEST).read_text("utf-8"))
    if how == "weights and their hash":
        with (bundle / "model.safetensors").open("r+b") as file:
            file.seek(-1, 2)
            file.write(b"\x01")
        manifest["files"]["model.safetensors"] = file_hash(bundle / "model.safetensors")
    elif how == "an operating point":
        name, points = next(iter(manifest["operating_points"].items()))
        manifest["operating_points"][name] = dict.fromkeys(points, 0.999)
    elif how == "a file no longer named":
        del manifest["files"]["past_results.jsonl"]
    (bundle / MANIFEST).write_text(json.dumps(manifest), "utf-8")


@pytest.mark.parametrize("how", ["weights and their hash", "an operating point", "a file no longer named"])
def test_what_was_altered_after_it_was_signed_is_refused(bundle, tmp_path, how):
    """The hashes in the manifest alone would not show it: whoever writes the weights writes the hashes too."""
    key, public = new_key(tmp_path, "release")
    signatures.sign_bundle(bundle, key, AT, "kim")
    altered(bundle, how)
    with pytest.raises(signatures.SignatureError, match="not of what lies there"):
        load(bundle, trusting(public, folder=tmp_path))


def test_every_file_that_is_loaded_must_be_named_with_its_hash(bundle):
    """A manifest that names fewer files would have the others loaded unchecked."""
    for name in ("model.safetensors", "terms.json", "past_results.jsonl"):
        text = (bundle / MANIFEST).read_text("utf-8")
        manifest = json.loads(text)
        del manifest["files"][name]
        (bundle / MANIFEST).write_text(json.dumps(manifest), "utf-8")
        with pytest.raises(BundleError, match="names no hash"):
            load(bundle, None)
        (bundle / MANIFEST).write_text(text, "utf-8")


def test_a_signature_of_another_bundle_does_not_hold(bundle, tmp_path):
    key, public = new_key(tmp_path, "release")
    signatures.sign_bundle(bundle, key, AT, "kim")
    other = Path(shutil.copytree(STARTER, tmp_path / "other"))
    altered(other, "an operating point")
    shutil.copy(bundle / signatures.SIGNATURES, other)
    with pytest.raises(signatures.SignatureError, match="taken from another"):
        load(other, trusting(public, folder=tmp_path))


def test_keys_are_changed_without_a_gap(bundle, tmp_path):
    old, old_public = new_key(tmp_path, "2026")
    new, new_public = new_key(tmp_path, "2027")
    signatures.sign_bundle(bundle, old, AT, "kim")
    signatures.sign_bundle(bundle, new, AT, "kim")
    for trusted in ((old_public,), (old_public, new_public), (new_public,)):
        assert load(bundle, trusting(*trusted, folder=tmp_path))
    again = signatures.sign_bundle(bundle, new, AT, "lee")
    kept = json.loads((bundle / signatures.SIGNATURES).read_text("utf-8"))["signatures"]
    assert len(kept) == 2 and again.by == "lee", "a key signs once"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no key at all",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n",
    ],
)
def test_a_file_without_trusted_keys_does_not_come_to_mean_all(bundle, tmp_path, content):
    file = tmp_path / "trusted.pem"
    file.write_bytes(content)
    with pytest.raises(signatures.SignatureError):
        load(bundle, file)
    with pytest.raises(signatures.SignatureError):
        load(bundle, tmp_path / "missing.pem")


@pytest.mark.parametrize(
    "content",
    [b"[]", b"{", b'{"format": "listing-risk signatures 2", "signatures": []}', b"\xff" * 10, b" " * 200_000,
     b'{"format": "listing-risk signatures 1", "signatures": [{"key": "../x", "signature": "", "at": 0, "by": ""}]}'],
)  # fmt: skip
def test_signatures_that_are_none_are_refused(bundle, tmp_path, content):
    _, public = new_key(tmp_path, "release")
    (bundle / signatures.SIGNATURES).write_bytes(content)
    with pytest.raises(signatures.SignatureError):
        load(bundle, trusting(public, folder=tmp_path))


def test_a_private_key_is_kept_private_and_never_overwritten(tmp_path):
    new_key(tmp_path, "release")
    private = tmp_path / "release.pem"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    with pytest.raises(signatures.SignatureError, match="never overwritten"):
        new_key(tmp_path, "release")
    private.chmod(0o644)
    with pytest.raises(signatures.SignatureError, match="others may read"):
        signatures.read_private(private)


def test_a_service_that_asks_for_signatures_does_not_start_without(bundle, tmp_path):
    """Said once, before any worker is started, also of the starter bundle."""
    from serving.loading import check_settings

    _, public = new_key(tmp_path, "release")
    trusted = str(trusting(public, folder=tmp_path))
    for named in ({}, {"LISTING_RISK_BUNDLE": str(bundle)}):
        with pytest.raises(signatures.SignatureError, match="is not signed"):
            check_settings(read_settings({"LISTING_RISK_TRUSTED_KEYS": trusted} | named))


def test_the_commands_sign_verify_and_refuse(bundle, tmp_path):
    run = CliRunner()
    key = str(tmp_path / "release.pem")
    assert run.invoke(main, ["bundle", "key", key]).exit_code == 0
    done = run.invoke(main, ["bundle", "verify", str(bundle), "--keys", f"{key}.pub"])
    assert done.exit_code == 2 and "is not signed" in done.stderr
    assert done.stderr.count("\n") == 1, "an error is one line"
    signed = run.invoke(main, ["bundle", "sign", str(bundle), "--key", key, "--actor", "kim"])
    assert signed.exit_code == 0 and json.loads(signed.stdout)["by"] == "kim"
    assert run.invoke(main, ["bundle", "verify", str(bundle), "--keys", f"{key}.pub"]).exit_code == 0
    listing = tmp_path / "listing.json"
    listing.write_text('{"id": "1", "title": "doll"}', "utf-8")
    ask = ["score", str(listing), "--bundle", str(bundle)]
    assert run.invoke(main, ask, env={"LISTING_RISK_TRUSTED_KEYS": f"{key}.pub"}).exit_code == 0
    altered(bundle, "an operating point")
    refused = run.invoke(main, ask, env={"LISTING_RISK_TRUSTED_KEYS": f"{key}.pub"})
    assert refused.exit_code == 2 and "not of what lies there" in refused.stderr


def test_a_promoted_bundle_keeps_its_signature(bundle, tmp_path):
    from serving.models.promotion import keep

    key, public = new_key(tmp_path, "release")
    shelf = tmp_path / "shelf"
    keep(bundle, shelf)
    signatures.sign_bundle(bundle, key, AT, "kim")
    kept = keep(bundle, shelf)
    assert load(kept.folder, trusting(public, folder=tmp_path))


def test_weight_files_of_packages_are_checked_at_load(tmp_path, monkeypatch):
    """Every file of weights that any part loads is pinned by its SHA-256, and other bytes are refused."""
    from features import weights
    from features.image_encoder import EFFICIENTNET_WEIGHTS

    pinned = (weights.USE_WEIGHTS, weights.USE_TOKENIZER, weights.E5_WEIGHTS, EFFICIENTNET_WEIGHTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    for file in pinned:
        package = tmp_path / f"other_{file.package}"
        (package / Path(file.path).parent).mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").touch()
        (package / file.path).write_bytes(b"other weights")
        assert len(file.sha256) == 64
        with pytest.raises(UserError, match=file.sha256):
            weights.find(weights.WeightFile(package.name, file.path, file.sha256, file.requirement))


def test_a_matcher_is_pinned_or_signed_too(tmp_path, monkeypatch):
    from serving.bans import office
    from training.matcher import MatcherError

    own = Path(shutil.copy(office.STARTER_MATCHER, tmp_path / "matcher.safetensors"))
    key, public = new_key(tmp_path, "release")
    with pytest.raises(signatures.SignatureError, match="is not signed"):
        office.load_reader(own, public)
    signatures.sign_bundle(own, key, AT, "kim")
    assert office.load_reader(own, public)
    own.write_bytes(own.read_bytes()[:-1] + b"\1")
    with pytest.raises(signatures.SignatureError, match="not of what lies there"):
        office.load_reader(own, public)
    monkeypatch.setattr(office, "STARTER_MATCHER", own)
    with pytest.raises(MatcherError, match=office.STARTER_MATCHER_SHA256):
        office.load_reader()
