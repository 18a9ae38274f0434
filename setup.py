"""What the testbed is as a Python package. Tool settings: pyproject.toml; tested releases: requirements*.lock."""

from pathlib import Path
from runpy import run_path

from setuptools import find_packages, setup

TEST = [
    "pytest>=8",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.5",
    "hypothesis>=6.100",
    "ruff>=0.8",
    "mypy>=1.11",
    "import-linter>=2.1",
    # The example notebook is executed.
    "nbclient>=0.10",
    "ipykernel>=6.29",
    # Examples are held against the schemas that editors read.
    "jsonschema>=4.18",
    "types-PyYAML",
    # Pages are opened in the distribution's Chromium; it is not asked to bring a browser.
    "playwright>=1.45",
]

readme = Path(__file__).with_name("README.md")
package = run_path(str(Path(__file__).with_name("testbed") / "__init__.py"))

setup(
    name="dyncast-testbed",
    version=package["__version__"],
    description="Emulates edge sites and networks on one machine, and steers real RTP and TCP flows by Dyncast",
    long_description=readme.read_text(encoding="utf-8") if readme.exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=["testbed*", "topologies*", "traffic*", "ryu_apps*"]),
    package_data={
        "topologies": ["data/*.yaml"],
        "traffic": ["scapy_programs/*"],
        "testbed": ["**/*.yaml", "**/*.html", "**/*.css", "**/*.js", "agents/cluster/runtimes/*.py"],
    },
    install_requires=[
        "mininet>=2.3.0.dev6",
        # Mininet imports distutils, which Python has not had since 3.12; setuptools brings it.
        "setuptools>=64",
        "os-ken>=2.8",
        "eventlet>=0.36",
        "aiohttp>=3.12",
        "cryptography>=43",
        "dnspython>=2.6",
        "scapy>=2.5",
        "networkx>=3.0",
        "topohub>=1.4",
        "numpy>=1.24",
        "pandas>=2.0",
        "matplotlib>=3.7",
        "jinja2>=3.1",
        "scipy>=1.11",
        "pydantic>=2.10",
        "PyYAML>=6.0",
        "typer>=0.12",
        "rich>=13.0",
    ],
    extras_require={"test": TEST},
    entry_points={"console_scripts": ["dyncast = testbed.cli:main"]},
)
