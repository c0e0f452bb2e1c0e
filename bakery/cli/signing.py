"""`bakery images sign` and `bakery images verify`: signatures of images by a key, as cosign makes and takes them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bakery.cli.registries import printable, run

if TYPE_CHECKING:
    from engine.registry.client import Registries
    from engine.registry.reference import Reference

_FROM_ENVIRONMENT = "env://"
_PASSWORD = "COSIGN_PASSWORD"

_KEY = click.option(
    "key", "--key", required=True, metavar="FILE", help="The key in a file, or env://NAME for a variable's value."
)
_CLAIMS = click.option(
    "claims", "-a", "--annotation", multiple=True, metavar="KEY=VALUE", help="What the signature claims besides."
)


@click.command("sign")
@click.argument("image")
@_KEY
@_CLAIMS
@click.option("every", "-r", "--recursive", is_flag=True, help="Sign each image of an index, too.")
def sign_command(image: str, key: str, claims: tuple[str, ...], every: bool) -> None:
    """Sign an image in a registry with a private key (ECDSA on P-256).

    The key is in PEM, or encrypted as `cosign generate-key-pair` writes it: then its password is $COSIGN_PASSWORD, or
    is asked for. The signature goes beside the image, where cosign looks for it.
    """
    from engine.imagetools.keys import private_key

    private, said, reference = private_key(_key(key), key, _password), _pairs(claims), _reference(image)

    async def work(registries: Registries) -> None:
        from engine.imagetools.signing import sign, sign_all, signature_tag

        digest = await (sign_all if every else sign)(reference, private, said, registries)
        click.echo(f"{reference.name}@{digest}")
        click.echo(f"signed in {reference.name}:{signature_tag(digest)}", err=True)

    run(work)


@click.command("verify")
@click.argument("image")
@_KEY
@_CLAIMS
def verify_command(image: str, key: str, claims: tuple[str, ...]) -> None:
    """Verify that an image in a registry was signed with a key, given its public half; print what was signed."""
    from engine.imagetools.keys import public_key

    public, wanted, reference = public_key(_key(key), key), _pairs(claims), _reference(image)

    async def work(registries: Registries) -> None:
        from engine.imagetools.signing import verify

        for signed in await verify(reference, public, wanted, registries):
            click.echo(printable(signed.payload.decode(errors="replace")))

    run(work)


def _reference(image: str) -> Reference:
    from engine.imagetools.place import registry_reference, split_layout

    if split_layout(image) is not None:
        raise click.BadParameter("signatures are kept in registries: copy the image to one first", param_hint="IMAGE")
    return registry_reference(image)


def _pairs(claims: tuple[str, ...]) -> dict[str, str]:
    pairs = [claim.partition("=") for claim in claims]
    wrong = next((key for key, equals, _ in pairs if not key or not equals), None)
    if wrong is not None:
        raise click.BadParameter(f'"{wrong}" is not KEY=VALUE', param_hint="--annotation")
    return {key: value for key, _, value in pairs}


def _key(name: str) -> bytes:
    if name.startswith(_FROM_ENVIRONMENT):
        variable = name.removeprefix(_FROM_ENVIRONMENT)
        if not os.environ.get(variable):
            raise click.BadParameter(f"there is nothing in ${variable}", param_hint="--key")
        return os.environ[variable].encode()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise click.BadParameter(f"cannot read {name}: {error.strerror}", param_hint="--key") from None


def _password() -> bytes:
    """The key's password; it goes nowhere else."""
    if _PASSWORD in os.environ:
        return os.environ[_PASSWORD].encode()
    if not sys.stdin.isatty():
        raise click.UsageError(f"the key is encrypted: give its password in ${_PASSWORD}")
    password: str = click.prompt("Password of the key", hide_input=True, err=True, default="", show_default=False)
    return password.encode()
