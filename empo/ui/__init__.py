"""The page. Gradio lives here; what needs no Gradio (views, charts, transcripts) is kept apart."""
