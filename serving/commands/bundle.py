"""Signatures of bundles: make a key, sign, verify."""

from __future__ import annotations

from pathlib import Path

import click

from serving.commands.options import FILE, actor_option, clear, console, plain, show, who

_FOLDER = click.Path(path_type=Path, exists=True)
_PATH = click.Path(path_type=Path)


@click.group("bundle")
def bundle() -> None:
    """Sign bundles, and check who signed them.

    Where LISTING_RISK_TRUSTED_KEYS names a file of public keys, only bundles that one of them signed serve.
    """


@bundle.command("key")
@click.argument("private", type=_PATH)
@clear
def make_key(private: Path) -> None:
    """Make a key pair: the private key in the file named, the public one beside it with .pub at the end.

    \b
    Examples:
      listing-risk bundle key release.pem
      cat release-2026.pem.pub release-2027.pem.pub > trusted.pem
    """
    from serving.supply import signatures

    public = private.with_name(private.name + ".pub")
    name = signatures.make_key(private, public)
    console().print(
        plain(f"key {name}: {private} signs, keep it to yourself; {public} verifies, give it away"),
        highlight=False,
        soft_wrap=True,
    )


@bundle.command("sign")
@click.argument("folder", metavar="BUNDLE", type=_FOLDER)
@click.option("--key", type=FILE, required=True, help="Private key, as `listing-risk bundle key` makes it.")
@actor_option
@clear
def sign(folder: Path, key: Path, actor: str | None) -> None:
    """Check that a bundle is whole and sign it, or a matcher's file; signatures of other keys stay.

    \b
    Examples:
      listing-risk bundle sign bundle/ --key release.pem
      listing-risk bundle sign matcher.safetensors --key release.pem
    """
    from datetime import UTC, datetime

    from serving.supply import signatures

    at = datetime.now(UTC).replace(microsecond=0)
    show(signatures.sign_bundle(folder, signatures.read_private(key), at, who(actor)).to_json())


@bundle.command("verify")
@click.argument("folder", metavar="BUNDLE", type=_FOLDER)
@click.option(
    "--keys",
    type=FILE,
    required=True,
    envvar="LISTING_RISK_TRUSTED_KEYS",
    help="Public keys that are trusted. [env: LISTING_RISK_TRUSTED_KEYS]",
)
@clear
def verify(folder: Path, keys: Path) -> None:
    """Check that a bundle is whole and that a trusted key signed it; exit code 2 where it is not.

    \b
    Examples:
      listing-risk bundle verify bundle/ --keys trusted.pem
    """
    from serving.supply import signatures

    show(signatures.verify_bundle(folder, signatures.read_trusted(keys)).to_json())
