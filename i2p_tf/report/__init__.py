"""From results.json to one page that can be read and handed on: HTML and Markdown from one model of the report."""
