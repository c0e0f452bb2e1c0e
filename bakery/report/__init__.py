"""One recorded build as one HTML file that needs nothing else. `page` fills `report.html`."""
