import CKernels

/// A weight matrix, repacked for the kernels: panels of 16 outputs, the quants as the file has them.
///
/// The same panels serve one row and many: each output is one chain of fused multiply-adds in the order of the
/// inputs, so a row's product is the same bits alone and in any batch, on any number of threads.
package final class PackedMatrix: Sendable {
  /// Outputs.
  package let rows: Int
  /// Inputs.
  package let columns: Int
  /// As the file has it.
  package let format: TensorFormat
  /// What its products read activations as: what was asked for, or the next that the format has products of.
  package let activations: ActivationType
  package var byteCount: Int { panelCount * panelBytes }

  /// A `ggml_type`: the one to tell the primitives.
  let panelFormat: UInt32
  let panelBytes: Int
  private let memory: PanelMemory

  /// - Parameters:
  ///   - source: GGUF's layout: `[rows][columns]`, row-major, each row whole blocks of `format`; at any alignment.
  ///     Read once, here.
  /// - Precondition: `columns` is a multiple of `format.blockElements`; `rows` is any number from 1.
  package init(
    packing source: UnsafeRawPointer, format: TensorFormat, rows: Int, columns: Int,
    activations: ActivationType = .float32, threads: ThreadPool
  ) {
    precondition(rows > 0 && columns > 0 && columns % format.blockElements == 0)
    self.rows = rows
    self.columns = columns
    self.format = format
    panelFormat = xk_panel_format(format.rawValue)
    self.activations = activations.nearest(for: panelFormat)
    panelBytes = xk_panel_bytes(format.rawValue, columns)
    let panelCount = (rows + panelWidth - 1) / panelWidth
    let memory = PanelMemory(byteCount: panelCount * panelBytes)
    self.memory = memory
    let rowBytes = format.byteCount(of: columns)
    let (panelBytes, rawFormat) = (self.panelBytes, format.rawValue)
    threads.run(tasks: panelCount) { panel in
      let first = panel * panelWidth
      let file = (source + first * rowBytes).assumingMemoryBound(to: UInt8.self)
      xk_pack(rawFormat, file, min(panelWidth, rows - first), columns, memory.base + panel * panelBytes)
    }
  }

  var panelCount: Int { (rows + panelWidth - 1) / panelWidth }

  func panel(_ index: Int) -> UnsafePointer<UInt8> { UnsafePointer(memory.base + index * panelBytes) }
}

extension ActivationType {
  fileprivate func nearest(for panelFormat: UInt32) -> ActivationType {
    if self == .int8 && xk_has_int8(panelFormat) != 0 { return .int8 }
    return self != .float32 && xk_has_int16(panelFormat) != 0 ? .int16 : .float32
  }
}

/// Outputs per panel.
let panelWidth = Int(XK_PANEL)
