"""IP networks in CIDR notation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

from bakery.config.functions.function import ArgumentError, Function, FunctionError, Parameter, definer, whole
from bakery.config.types import NUMBER, STRING
from bakery.config.values import Value, list_of, string

FUNCTIONS: Final[dict[str, Function]] = {}
_define = definer(FUNCTIONS)

_PREFIX = Parameter("prefix", STRING)

Network = IPv4Network | IPv6Network


def _network(text: str) -> Network:
    """The network of an address with a prefix length; host bits are dropped. Raises FunctionError."""
    try:
        if not re.search(r"/\d+\Z", text, re.ASCII):
            raise ValueError
        return ip_network(text, strict=False)
    except ValueError:
        raise FunctionError(f"invalid CIDR expression: invalid CIDR address: {text}") from None


def _address(network: Network, value: int) -> str:
    return str(IPv4Address(value) if isinstance(network, IPv4Network) else IPv6Address(value))


@_define(_PREFIX, Parameter("hostnum", NUMBER))
def cidrhost(args: Sequence[Value]) -> Value:
    """The address of a host by number; negative numbers count from the end."""
    network, host = _network(args[0].raw), whole(args, 1)
    size = network.num_addresses
    if not -size <= host < size:
        bits = network.max_prefixlen - network.prefixlen
        raise FunctionError(f"prefix of {network.prefixlen} does not accommodate a host numbered {host} ({bits} bits)")
    return string(_address(network, int(network.network_address) + host % size))


@_define(_PREFIX)
def cidrnetmask(args: Sequence[Value]) -> Value:
    """The mask of a network, written like an address."""
    return string(str(_network(args[0].raw).netmask))


@_define(_PREFIX, Parameter("newbits", NUMBER), Parameter("netnum", NUMBER))
def cidrsubnet(args: Sequence[Value]) -> Value:
    """The subnet with a number, among those with more bits of prefix."""
    new_bits, number = whole(args, 1), whole(args, 2)
    network = _network(args[0].raw)
    if new_bits > 32:
        raise FunctionError("may not extend prefix by more than 32 bits")
    length = network.prefixlen + new_bits
    if new_bits < 0 or length > network.max_prefixlen:
        raise FunctionError(f"insufficient address space to extend prefix of {network.prefixlen} by {new_bits}")
    if not 0 <= number < 1 << new_bits:
        raise FunctionError(f"prefix extension of {new_bits} does not accommodate a subnet numbered {number}")
    base = int(network.network_address) + (number << (network.max_prefixlen - length))
    return string(f"{_address(network, base)}/{length}")


@_define(_PREFIX, variadic=Parameter("newbits", NUMBER))
def cidrsubnets(args: Sequence[Value]) -> Value:
    """Subnets one after the other, each with its own number of additional bits of prefix."""
    try:
        network = _network(args[0].raw)
    except FunctionError as problem:
        raise ArgumentError(0, str(problem)) from None
    width = network.max_prefixlen
    end = int(network.network_address)
    previous = ""
    subnets = []
    for index in range(1, len(args)):
        length = network.prefixlen + _new_bits(args, index, network)
        size = 1 << (width - length)
        base = -(-end // size) * size  # the next multiple of its own size
        if base + size > int(network.network_address) + network.num_addresses:
            raise ArgumentError(
                index,
                f"not enough remaining address space for a subnet with a prefix of {length} bits after {previous}",
            )
        previous = f"{_address(network, base)}/{length}"
        subnets.append(string(previous))
        end = base + size
    return list_of(STRING, subnets)


def _new_bits(args: Sequence[Value], index: int, network: Network) -> int:
    bits = whole(args, index)
    if bits < 1:
        raise ArgumentError(index, "must extend prefix by at least one bit")
    if bits > 32:
        raise ArgumentError(index, "may not extend prefix by more than 32 bits")
    length = network.prefixlen + bits
    if length > network.max_prefixlen:
        protocol = f"IPv{network.version}"
        raise ArgumentError(index, f"would extend prefix to {length} bits, which is too long for an {protocol} address")
    return bits
