"""A real Prometheus on loopback, asked through its API."""

import json
import pathlib
import urllib.error
import urllib.parse
import urllib.request

import yaml
from processes import end, free_port, start, until


class Prometheus:
    def __init__(self, folder, targets, rules):
        """`targets`: address, path, namespace, job and pod."""
        self.folder = pathlib.Path(folder) / "prometheus"
        self.folder.mkdir()
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "900ms", "evaluation_interval": "1s"},
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [
                {
                    "job_name": f"{job}/{pod}",
                    "metrics_path": path,
                    "static_configs": [{"targets": ["%s:%d" % at], "labels": {"job": job, "namespace": namespace, "pod": pod}}],
                }
                for at, path, namespace, job, pod in targets
            ],
        }
        file = self.folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(config))
        self.at = "http://127.0.0.1:%d" % free_port()
        with open(self.folder / "log", "w") as log:
            self.process = start(
                ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={self.folder / 'data'}", "--log.level=warn",
                 f"--web.listen-address={self.at.removeprefix('http://')}"],
                stdout=log, stderr=log)
        until("Prometheus", self.ready)

    def ready(self):
        if self.process.poll() is not None:
            raise SystemExit("Prometheus did not start: " + (self.folder / "log").read_text()[-2000:])
        try:
            return urllib.request.urlopen(f"{self.at}/-/ready", timeout=2).status == 200
        except OSError:
            return False

    def get(self, path, **arguments):
        """The data of an answer; an error of Prometheus's is its text."""
        try:
            with urllib.request.urlopen(f"{self.at}/api/v1/{path}?{urllib.parse.urlencode(arguments)}", timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error)["error"]) from error

    def now(self, query, at=None):
        """Pairs of labels and values at a moment, or now."""
        when = {} if at is None else {"time": at}
        return [(one["metric"], [one["value"]]) for one in self.get("query", query=query, **when)["result"]]

    def value(self, query):
        """The one number that a query gives; 0 if there is none."""
        found = self.now(query)
        return float(found[0][1][0][1]) if found else 0

    def over(self, query, begin, end, step=1):
        """Pairs of labels and values over time."""
        found = self.get("query_range", query=query, start=begin, end=end, step=step)["result"]
        return [(one["metric"], one["values"]) for one in found]

    def stop(self):
        end(self.process)

