/// The page of one run, or of several: beside each other first, then each in full.
package struct RunPage {
  private let runs: [RunReport]

  package init(_ runs: [RunReport]) { self.runs = runs }

  package var html: String {
    guard runs.count > 1 else {
      let sections: [Markup] = runs.map {
        "<h1>xpyd bench: \($0.name)</h1>\n\(RunSection(run: $0).markup)"
      }
      return Page(title: "xpyd bench", body: sections).markup.text
    }
    let overview: Markup = "<h1>xpyd bench: \(runs.count) runs</h1>\n\(RunOverview(runs).markup)"
    let details: [Markup] = runs.map {
      "<details open><summary>\($0.name)</summary>\n\(RunSection(run: $0).markup)</details>\n"
    }
    return Page(title: "xpyd bench", body: [overview] + details).markup.text
  }
}
