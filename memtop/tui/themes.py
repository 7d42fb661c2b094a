"""The colours of the roles, one table for each theme; app.tcss turns them into styles.

`ansi` uses the terminal's own sixteen colours and leaves its background alone; it is chosen by
itself where there are no more colours than that, and under NO_COLOR.
"""

from __future__ import annotations

from textual.theme import BUILTIN_THEMES, Theme

# role: (dark, light, sixteen colours)
ROLES: dict[str, tuple[str, str, str]] = {
    "bg": ("#14171c", "#fcfcfa", "ansi_default"),
    "surface": ("#1b1f26", "#f1f2f0", "ansi_default"),
    "cursor": ("#262d38", "#e3ebf2", "ansi_cyan"),
    "rule": ("#333a45", "#d5d8dc", "ansi_bright_black"),
    "ink": ("#454d5a", "#c2c7ce", "ansi_bright_black"),
    "faint": ("#67717f", "#858d97", "ansi_bright_black"),
    "dim": ("#8b94a1", "#68707b", "ansi_default"),
    "text": ("#b9c1cc", "#3f4650", "ansi_default"),
    "bright": ("#f1f4f8", "#0c0f13", "ansi_default"),
    "accent": ("#7fb8d8", "#1b6d9c", "ansi_cyan"),
    "leak": ("#ff6f61", "#c5281c", "ansi_bright_red"),
    "rising": ("#e8b04a", "#95600a", "ansi_yellow"),
    "shrink": ("#84b98f", "#2c7a45", "ansi_green"),
    "live": ("#93a1b3", "#5d6b7d", "ansi_default"),
}
NAMES = ("dark", "light", "ansi")


def themes() -> list[Theme]:
    """The themes, ready to be registered under their names."""
    made = []
    for index, name in enumerate(NAMES):
        colors = {role: values[index] for role, values in ROLES.items()}
        made.append(
            Theme(
                name=f"memtop-{name}",
                primary=colors["accent"] if name != "ansi" else "ansi_cyan",
                accent=colors["accent"],
                foreground=colors["dim"],
                background=colors["bg"],
                surface=colors["surface"],
                panel=colors["surface"],
                boost=colors["surface"],
                warning=colors["rising"],
                error=colors["leak"],
                success=colors["shrink"],
                secondary=colors["accent"],
                dark=name != "light",
                ansi=name == "ansi",
                variables={
                    # Textual's own style sheet uses variables that only its ansi themes define.
                    **(BUILTIN_THEMES["ansi-dark"].variables if name == "ansi" else {}),
                    **{f"role-{role}": color for role, color in colors.items()},
                },
            )
        )
    return made


def theme_for(color_system: str | None, no_color: bool) -> str:
    """The theme when nobody chose one: `ansi` below 256 colours, else `dark`."""
    return "ansi" if no_color or color_system in (None, "standard", "windows") else "dark"
