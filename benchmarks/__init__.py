"""Side-by-side measurements. Each writes one JSON below ``results``; `benchmarks.document` makes the page from them."""
