"""The page of `xpyd bench serve --report` in a real browser."""

import subprocess

from deployment import DEADLINE, EXAMPLE_MODEL, XPYD, Deployment
from selenium.webdriver.common.by import By

REQUESTS = 6


def test_the_report_shows_a_run_without_network_or_script(tmp_path, browser):
    running = Deployment("1p1d", tmp_path)
    page = tmp_path / "report.html"
    command = [
        XPYD, "bench", "serve", "--base-url", running.url, "--model", EXAMPLE_MODEL, "--tokenizer", "smollm2-135m-instruct",
        "--random-input-len", "32", "--random-output-len", "8", "--num-prompts", str(REQUESTS), "--report", page,
    ]  # fmt: skip
    printed = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=DEADLINE)
    running.stop()
    assert printed.returncode == 0, printed.stdout + printed.stderr

    browser.get(page.as_uri())
    assert "script" not in browser.page_source
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []

    findings = browser.find_element(By.CSS_SELECTOR, ".findings").text
    assert f"All {REQUESTS} requests succeeded." in findings
    curves = browser.find_elements(By.CSS_SELECTOR, "path.line")
    assert len(curves) == 3 and all(each.size["height"] > 50 for each in curves)
    # A row a request has its prefill, and its transfer: xpyd's proxy tells them.
    for phase in ("prefill", "transfer", "stream"):
        assert browser.find_element(By.CSS_SELECTOR, f"path.{phase}").size["height"] > 50
    table = browser.find_element(By.CSS_SELECTOR, "pre").text
    assert table in printed.stdout
    for width in (1240, 400):
        browser.set_window_size(width, 1000)
        overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert browser.execute_script(overflow) == 0, f"the page is wider than {width} pixels"
    browser.save_screenshot(str(tmp_path / "report.png"))
