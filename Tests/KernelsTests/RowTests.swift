import Glibc
import Kernels
import TestSupport
import Testing

/// Norm, rotary embedding, gated units, softcap and bias: each against a double-precision reference, on every instruction
/// set, at lengths that are and are not whole vectors.
struct RowTests {
  let threads = ThreadPool(threads: 2)
  static let lengths = [1, 7, 8, 9, 64, 576, 577]

  @Test(arguments: lengths) func `Norm divides by the root mean square`(dim: Int) {
    var random = SplitMix64(seed: UInt64(dim))
    let x = random.floats(3 * dim, in: -4...4), weight = random.floats(dim)
    let outs = InstructionSet.available.map { instructions in
      var out = [Float](repeating: 0, count: 3 * dim)
      rmsNorm(x, weight: weight, epsilon: 1e-5, rows: 3, dim: dim, into: &out, threads: threads, on: instructions)
      return out
    }
    for row in 0..<3 {
      let values = x[row * dim..<(row + 1) * dim].map(Double.init)
      let scale = 1 / (values.reduce(0) { $0 + $1 * $1 } / Double(dim) + 1e-5).squareRoot()
      for j in 0..<dim {
        #expect(abs(Double(outs[0][row * dim + j]) - values[j] * scale * Double(weight[j])) < 2e-6)
      }
    }
    for out in outs { expectSameBits(out, outs[0]) }
  }

  @Test(arguments: [2, 8, 16, 24, 64, 128]) func `Rotation turns each pair by its position's angles`(headDim: Int) {
    let (half, heads, positions) = (headDim / 2, 3, [Int32](arrayLiteral: 5, 0, 9))
    let angles = (0..<10 * half).map { Double($0 / half) * pow(10000, -Double($0 % half) / Double(half)) }
    let cosines = angles.map { Float(cos($0)) }, sines = angles.map { Float(sin($0)) }
    var random = SplitMix64(seed: 2)
    let x = random.floats(positions.count * heads * headDim)
    for pairing in [RoPEPairing.adjacent, .halves] {
      let outs = InstructionSet.available.map { instructions in
        var out = x
        applyRoPE(
          &out, rows: positions.count, heads: heads, headDim: headDim, rotated: headDim, positions: positions,
          cosines: cosines, sines: sines, pairing: pairing, threads: threads, on: instructions)
        return out
      }
      for vector in 0..<positions.count * heads {
        for i in 0..<half {
          let first = vector * headDim + (pairing == .adjacent ? 2 * i : i)
          let second = pairing == .adjacent ? first + 1 : first + half
          let angle = angles[Int(positions[vector / heads]) * half + i]
          let (a, b) = (Double(x[first]), Double(x[second]))
          #expect(abs(Double(outs[0][first]) - (a * cos(angle) - b * sin(angle))) < 3e-7)
          #expect(abs(Double(outs[0][second]) - (b * cos(angle) + a * sin(angle))) < 3e-7)
        }
      }
      for out in outs { expectSameBits(out, outs[0]) }
    }
  }

  @Test func `What is beyond the dimensions that turn stays as it is`() {
    let x: [Float] = (0..<16).map(Float.init)
    for pairing in [RoPEPairing.adjacent, .halves] {
      var out = x
      applyRoPE(
        &out, rows: 1, heads: 2, headDim: 8, rotated: 4, positions: [0], cosines: [0, 0], sines: [1, 1],
        pairing: pairing, threads: threads)
      let turned: [Float] = pairing == .adjacent ? [-1, 0, -3, 2] : [-2, -3, 0, 1]
      #expect(Array(out[..<4]) == turned && out[4..<8] == x[4..<8] && out[12...] == x[12...])
    }
  }

  @Test(arguments: lengths) func `GeGLU is gelu of the gate times the other`(dim: Int) {
    var random = SplitMix64(seed: UInt64(dim))
    let gate = random.floats(2 * dim, in: -12...12), up = random.floats(2 * dim)
    let outs = InstructionSet.available.map { instructions in
      var out = gate
      geGLU(gate: &out, up: up, rows: 2, dim: dim, threads: threads, on: instructions)
      return out
    }
    for i in 0..<2 * dim {
      let g = Double(gate[i])
      let expected = 0.5 * g * (1 + tanh((2 / Double.pi).squareRoot() * (g + 0.044715 * g * g * g))) * Double(up[i])
      #expect(abs(Double(outs[0][i]) - expected) <= 1e-5 * abs(expected) + 1e-7)
    }
    for out in outs { expectSameBits(out, outs[0]) }
  }

  @Test(arguments: lengths) func `A softcap is c tanh(x / c)`(dim: Int) {
    var random = SplitMix64(seed: UInt64(dim))
    let x = random.floats(2 * dim, in: -2000...2000) + random.floats(2 * dim)
    let outs = InstructionSet.available.map { instructions in
      var out = x
      capSoftly(&out, at: 30, rows: 4, dim: dim, threads: threads, on: instructions)
      return out
    }
    for i in 0..<4 * dim { #expect(abs(Double(outs[0][i]) - 30 * tanh(Double(x[i]) / 30)) < 3e-5) }
    for out in outs { expectSameBits(out, outs[0]) }
  }

  @Test(arguments: lengths) func `SwiGLU is silu of the gate times the other`(dim: Int) {
    var random = SplitMix64(seed: UInt64(dim))
    let gate = random.floats(2 * dim, in: -100...100), up = random.floats(2 * dim)
    let outs = InstructionSet.available.map { instructions in
      var out = [Float](repeating: 0, count: 2 * dim)
      swiGLU(gate: gate, up: up, rows: 2, dim: dim, into: &out, threads: threads, on: instructions)
      return out
    }
    for i in 0..<2 * dim {
      let expected = Double(gate[i]) / (1 + exp(-Double(gate[i]))) * Double(up[i])
      #expect(abs(Double(outs[0][i]) - expected) <= 1e-6 * abs(expected) + 1e-30)
    }
    for out in outs { expectSameBits(out, outs[0]) }
  }

  @Test func `A bias is added to every row`() {
    var out: [Float] = [1, 2, 3, 4, 5, 6]
    addBias([10, 20, 30], rows: 2, dim: 3, to: &out, threads: threads)
    #expect(out == [11, 22, 33, 14, 25, 36])
    addRows([1, 1, 1, 2, 2, 2], rows: 2, dim: 3, to: &out, threads: threads)
    #expect(out == [12, 23, 34, 16, 27, 38])
  }

  @Test func `The exponential is within two ulp, and zero below -87`() {
    let x = stride(from: Float(-87), through: 88, by: 0.0037).map { $0 } + [0, -0.0, 1e-20, -1e-20]
    for instructions in InstructionSet.available {
      var out = [Float](repeating: 0, count: x.count)
      exponentials(x, count: x.count, into: &out, on: instructions)
      let worst = zip(x, out).map { abs(Double($1) - exp(Double($0))) / Double(Float(exp(Double($0))).ulp) }.max()!
      #expect(worst <= 2, "\(instructions.name)")
      var edges: [Float] = [0, 0, 0]
      exponentials([-87.01, -.infinity, 1000], count: 3, into: &edges, on: instructions)
      #expect(edges[0] == 0 && edges[1] == 0 && edges[2].isFinite)
    }
  }
}
