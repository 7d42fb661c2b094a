"""The machine code that memtop's thread runs in the target: `stub.c`, compiled, and how.

A test compiles the source again and compares. x86_64 only; position-independent, no data.
"""

from __future__ import annotations

COMPILER = "gcc 12.2"
FLAGS = (
    "-Os",
    "-std=c11",
    "-ffreestanding",
    "-fPIC",
    "-fno-stack-protector",
    "-fcf-protection=none",
    "-fno-asynchronous-unwind-tables",
    "-fno-tree-loop-distribute-patterns",
)
CODE = bytes.fromhex(
    "41554531c94531c031c9415431d231f655534889fb4883ec38488b6f5031ffff"
    "53484531c94531c031c94889c731d231f6ffd5bddc050000488b43304885c075"
    "1031f631ffba02000000ff5338ffcd75e7488b43304885c0743f4889dd4531e4"
    "4c39636874084c396370754feb2bb8010000004887432041bddc050000488b43"
    "284885c075e031f631ffba02000000ff533841ffcd75e6ebcd488b7360488b7b"
    "584531c94531c0488b43404883c43831c931d25b5d415c415dffe049ffc44c89"
    "e048874310488b85800000004885c0740e488b004885c075064883c560eb8148"
    "8b85880000004885c07408488b004885c075e6488b959000000031c94889d648"
    "8b84cda800000048d3ee4080e6017403488b00488904cc48ffc14883f90675dc"
    "4c8b4c24284c8b442420488b4c2418488b542410488b742408488b3c24ff5578"
    "48c7859800000001000000488985a0000000eb85"
)
