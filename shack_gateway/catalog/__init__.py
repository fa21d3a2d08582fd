"""Which tools, prompts, resources and templates there are, under which names, and how they are shown.  Pure.

names.py       `server__tool`: what the host sees, what it may call, what it may have meant
uris.py        the URIs of resources: our own scheme, templates, links seen in results
texts.py       one member of an object's text, found and changed
shapes.py      what hosts insist on in a listed object, and how one that breaks it is mended
entries.py     what one server lists (`Item`, `Listing`); all servers together (`Entry`, `Catalog`)
shaping.py     what the owner lets be seen of all that, and under which names
facts.py       what policy may know of a tool: its arguments, whether it says that it only reads
search.py      the substring search behind `shack_list_tools`
render.py      the lists as a host reads them, page by page
meta_tools.py  the four `shack_*` tools: their definitions and their answers
"""
