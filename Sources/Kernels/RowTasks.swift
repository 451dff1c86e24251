extension ThreadPool {
  /// Calls `body` for each row, on one thread if that is faster than a fork.
  ///
  /// - Parameter cost: About how many elements a row touches.
  func runRows(_ rows: Int, cost: Int, _ body: (Int) -> Void) {
    /// Elements that are worth a task: some 3 µs.
    let worthATask = 8192
    let tasks = min(rows, max(1, rows * cost / worthATask), threadCount * 8)
    run(tasks: tasks) { task in
      for row in rows * task / tasks..<rows * (task + 1) / tasks { body(row) }
    }
  }
}
