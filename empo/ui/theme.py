"""The look: Gradio's theme with our own tokens; everything else is assets/empo.css."""

from __future__ import annotations

import gradio as gr

from empo.settings import ASSETS

STYLES = ASSETS / "empo.css"
_FONTS = (
    # The bundled file of "Source Sans 3" lacks most letters; this one is whole, but has no 600.
    gr.themes.LocalFont("Source Sans Pro", weights=(400, 700)),
    "ui-sans-serif",
    "system-ui",
    "sans-serif",
)


def theme() -> gr.themes.Base:
    """Warm paper by day, warm charcoal by night; the tokens are variables of assets/empo.css."""
    return gr.themes.Base(font=_FONTS, font_mono=_FONTS, text_size="md", radius_size="lg").set(
        **_both("body_background_fill", "var(--paper)"),
        **_both("body_text_color", "var(--ink)"),
        **_both("body_text_color_subdued", "var(--muted)"),
        **_both("background_fill_primary", "var(--card)"),
        **_both("background_fill_secondary", "var(--soft)"),
        **_both("block_background_fill", "transparent"),
        **_both("block_border_color", "var(--line)"),
        **_both("block_label_text_color", "var(--muted)"),
        **_both("block_label_background_fill", "transparent"),
        **_both("block_title_text_color", "var(--ink)"),
        **_both("block_info_text_color", "var(--muted)"),
        **_both("border_color_primary", "var(--line)"),
        **_both("border_color_accent", "var(--ink)"),
        **_both("color_accent_soft", "var(--soft)"),
        **_both("link_text_color", "var(--link)"),
        **_both("link_text_color_hover", "var(--link)"),
        **_both("link_text_color_visited", "var(--link)"),
        **_both("link_text_color_active", "var(--link)"),
        **_both("input_background_fill", "var(--card)"),
        **_both("input_border_color", "var(--edge)"),
        **_both("input_border_color_focus", "var(--ink)"),
        **_both("input_placeholder_color", "var(--muted)"),
        **_both("button_primary_background_fill", "var(--ink)"),
        **_both("button_primary_background_fill_hover", "var(--ink-soft)"),
        **_both("button_primary_border_color", "var(--ink)"),
        **_both("button_primary_border_color_hover", "var(--ink-soft)"),
        **_both("button_primary_text_color", "var(--paper)"),
        **_both("button_primary_text_color_hover", "var(--paper)"),
        **_both("button_secondary_background_fill", "transparent"),
        **_both("button_secondary_background_fill_hover", "var(--soft)"),
        **_both("button_secondary_border_color", "var(--edge)"),
        **_both("button_secondary_text_color", "var(--ink)"),
        **_both("button_secondary_text_color_hover", "var(--ink)"),
        **_both("slider_color", "var(--ink-soft)"),
        **_both("panel_background_fill", "transparent"),
        color_accent="var(--ink)",
        block_border_width="0px",
        block_shadow="none",
        block_padding="0px",
        layout_gap="14px",
        button_large_padding="10px 20px",
        input_border_width="1px",
        input_shadow="none",
        input_shadow_focus="0 0 0 3px var(--glow)",
    )


def _both(token: str, value: str) -> dict[str, str]:
    return {token: value, f"{token}_dark": value}


def head() -> str:
    """The style sheet for the page's head: there from the first paint, its selectors untouched
    (what is given as `css` gets Gradio's own prefix, which breaks those on body and :root).
    """
    return f"<style>{STYLES.read_text('utf-8')}</style>"
