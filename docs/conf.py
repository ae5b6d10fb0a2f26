"""How Sphinx makes the site: pages of this folder, and a reference that is made from the code.

``make docs`` writes it to ``docs/_build/html``. Nothing is fetched, while it is made or read.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / 'site'))

from gersp_geo import __version__

project = 'gersp_geo'
author = 'The gersp_geo authors'
release = version = __version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.autosummary',
    'sphinx.ext.napoleon',
    'sphinx_design',
    # of the folder site
    'cards',
    'links',
    'reference',
]
exclude_patterns = ['_build', 'site', 'templates', 'torchgeo_bench', 'results']

myst_enable_extensions = ['colon_fence']
# links to headings as GitHub makes them
myst_heading_anchors = 4

autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented'
# one parameter per line
maximum_signature_line_length = 88
# dashes alone: 'auto' is a value to type
smartquotes_action = 'D'
toc_object_entries_show_parents = 'hide'
autoclass_content = 'both'
autosummary_generate = True
# the packages list names of their modules, which import them
autosummary_imported_members = True
templates_path = ['site/templates']

# the theme of torchgeo's own documentation
html_theme = 'pydata_sphinx_theme'
html_title = 'gersp_geo'
html_static_path = ['site/static']
html_css_files = ['site.css']
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
html_sidebars = {'index': [], 'start': []}
html_theme_options = {
    'navbar_align': 'left',
    'navbar_end': ['theme-switcher'],
    'header_links_before_dropdown': 7,
    'show_nav_level': 1,
    'show_toc_level': 2,
    'navigation_with_keys': True,
    'logo': {'text': 'gersp_geo'},
    'footer_start': ['last-updated'],
    'footer_end': [],
    # Pygments' own styles, of which the theme has copies
    'pygments_light_style': 'a11y-high-contrast-light',
    'pygments_dark_style': 'a11y-high-contrast-dark',
    'secondary_sidebar_items': {'**': ['page-toc'], 'index': []},
}
