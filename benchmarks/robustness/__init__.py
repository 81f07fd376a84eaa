"""How well quality holds where sellers hide, other languages, other styles: attacks, covert cameras, reasons."""
