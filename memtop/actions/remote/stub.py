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
    "4155415455bddc050000534889fb4883ec38488b43304885c0751031f631ffba"
    "02000000ff5338ffcd75e7488b43304885c0743f4889dd4531e44c3963587408"
    "4c396360754feb2bb8010000004887432041bddc050000488b43284885c075e0"
    "31f631ffba02000000ff533841ffcd75e6ebcd488b7350488b7b484531c94531"
    "c0488b43404883c43831c931d25b5d415c415dffe049ffc44c89e04887431048"
    "8b45704885c0740e488b004885c075064883c560eb84488b45784885c0740848"
    "8b004885c075e9488b958000000031c94889d6488b84cd9800000048d3ee4080"
    "e6017403488b00488904cc48ffc14883f90675dc4c8b4c24284c8b442420488b"
    "4c2418488b542410488b742408488b3c24ff556848c785880000000100000048"
    "898590000000eb88"
)
