"""HTML as PDF; nothing is fetched from anywhere."""

from typing import BinaryIO, NoReturn


def refuse(url: str, *_: object, **__: object) -> NoReturn:
    """Fetch nothing: a file that is kept must not depend on, or tell anything to, another machine."""
    raise ValueError(f"{url[:60]} is not fetched: the file stands alone")


def write(html: str, file: BinaryIO) -> None:
    """Write a page that stands alone, its style inside, as PDF."""
    import weasyprint  # heavy: loaded by the first file, not at start

    weasyprint.HTML(string=html, url_fetcher=refuse).write_pdf(file)
