"""Makes the example contracts of this folder with ReportLab: `python examples/make.py` (PyPI: reportlab)."""

from pathlib import Path

from reportlab.lib.enums import TA_JUSTIFY
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, KeepTogether, PageBreak, Paragraph, SimpleDocTemplate, Spacer

HERE = Path(__file__).parent
TITLE = ParagraphStyle("title", fontName="Times-Bold", fontSize=20, leading=26, spaceAfter=4 * mm)
LEAD = ParagraphStyle("lead", fontName="Times-Italic", fontSize=11, leading=16, spaceAfter=8 * mm)
HEAD = ParagraphStyle("head", fontName="Times-Bold", fontSize=12, leading=16, spaceBefore=4 * mm, spaceAfter=2 * mm)
BODY = ParagraphStyle("body", fontName="Times-Roman", fontSize=11, leading=16, spaceAfter=2.5 * mm, alignment=TA_JUSTIFY)


def footer(title):
    def draw(canvas, document):
        canvas.saveState()
        canvas.setFont("Times-Roman", 9)
        canvas.drawString(25 * mm, 14 * mm, title)
        canvas.drawRightString(A4[0] - 25 * mm, 14 * mm, f"Page {document.page}")
        canvas.restoreState()

    return draw


class SignatureBlock(Flowable):
    """Lines to sign on. It ends the last page, so that the demo's fields can stand at fixed places."""

    def __init__(self, parties):
        super().__init__()
        self.parties = parties

    def wrap(self, width, _height):
        return width, 40 * mm

    def draw(self):
        self.canv.setFont("Times-Roman", 9)
        for left, party in zip((0, 90 * mm), self.parties):
            for bottom, label in ((24 * mm, f"{party}: signature"), (4 * mm, "Date")):
                self.canv.line(left, bottom, left + 70 * mm, bottom)
                self.canv.drawString(left, bottom - 4 * mm, label)


def make(name, title, lead, articles, parties):
    document = SimpleDocTemplate(
        str(HERE / name),
        pagesize=A4,
        leftMargin=25 * mm,
        rightMargin=25 * mm,
        topMargin=25 * mm,
        bottomMargin=25 * mm,
        title=title,
        author="Countersign examples",
        invariant=1,
    )
    story = [Paragraph(title, TITLE), Paragraph(lead, LEAD)]
    for number, (heading, paragraphs) in enumerate(articles, 1):
        first, *rest = [Paragraph(f"{number}.{part}&nbsp;&nbsp;{text}", BODY) for part, text in enumerate(paragraphs, 1)]
        story += [KeepTogether([Paragraph(f"{number}. {heading}", HEAD), first]), *rest]
    story += [PageBreak(), Paragraph("Signatures", TITLE), Paragraph(
        "The parties have read this agreement and agree to be bound by it. Each party signs electronically; the seal and "
        "the certificate of completion at the end of this file show who signed, when, and what.", BODY), Spacer(1, 20 * mm), SignatureBlock(parties)]
    document.build(story, onFirstPage=footer(title), onLaterPages=footer(title))


make(
    "consulting-agreement.pdf",
    "Consulting Agreement",
    "between Northwind Instruments AG, Zurich (the client), and the consultant named on the last page.",
    [
        ("Services", [
            "The consultant reviews the client's measurement software and advises on its design, its tests and its safe operation.",
            "The scope of each piece of work is agreed in writing before it begins. Work outside that scope needs a new agreement.",
            "The consultant works with the care of an experienced professional and tells the client at once of anything that endangers the result or its date.",
        ]),
        ("Fees and payment", [
            "The client pays 1,200 Swiss francs for each day of eight hours. Shorter work is paid in proportion.",
            "Invoices are sent at the end of each month and are due within thirty days. Late payment bears interest of five per cent a year.",
            "Travel is paid at cost when the client has agreed to it beforehand.",
        ]),
        ("Confidentiality", [
            "Each party keeps secret what it learns of the other's business and uses it for this agreement only. This duty lasts for five years after the agreement has ended.",
            "The duty does not cover what is public, what the party knew before, or what a court or an authority demands.",
        ]),
        ("Results", [
            "All results belong to the client once they are paid. The consultant keeps the right to use general knowledge and methods.",
            "Where results contain software of third parties, the consultant names it and its licence in the report.",
        ]),
        ("Liability", [
            "Each party is liable for damage that it causes on purpose or by gross negligence. Any further liability is limited to the fees paid in the twelve months before.",
            "Nothing in this agreement limits a liability that the law does not allow to be limited.",
        ]),
        ("Term and end", [
            "This agreement begins with the last signature and lasts for one year. Each party may end it with notice of thirty days.",
            "Work that was ordered before the end is completed and paid under this agreement.",
        ]),
        ("Final provisions", [
            "Changes are valid only in writing; a qualified or advanced electronic signature counts as writing where the law allows it.",
            "If one provision is void, the others stay in force. Swiss law applies; the courts of Zurich have jurisdiction.",
        ]),
    ],
    ("Client", "Consultant"),
)
make(
    "non-disclosure-agreement.pdf",
    "Non-Disclosure Agreement",
    "between the two parties named on the last page, who intend to talk about working together.",
    [
        ("What is confidential", [
            "Everything that one party tells the other about its products, plans, customers, prices or people, in whatever form, unless it says otherwise.",
            "Not confidential is what is public without a breach of this agreement, or what the other party knew or found by itself.",
        ]),
        ("What the parties may do with it", [
            "They use it to decide whether and how to work together, and for nothing else.",
            "They show it only to people who need it for that and who are bound in the same way.",
            "They protect it as they protect their own, and tell each other at once when it may have been lost.",
        ]),
        ("How long", [
            "The agreement lasts for three years from the last signature. On request, each party returns or destroys what it received.",
        ]),
    ],
    ("First party", "Second party"),
)
