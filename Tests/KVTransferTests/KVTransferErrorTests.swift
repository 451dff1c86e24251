import KVTransfer
import Testing

@Suite struct KVTransferErrorTests {
  @Test func `An error tells its values and what to do`() {
    let error = KVTransferError.layoutMismatch(local: "30 layers", remote: "32 layers", peer: "10.0.0.7:8300")
    #expect(
      "\(error)".contains("30 layers") && "\(error)".contains("32 layers") && "\(error)".contains("10.0.0.7:8300"))
    #expect("\(error)".contains("--block-size"))
    #expect("\(error)".contains("--kv-cache-dtype"))
    #expect(error.label == "layout_mismatch")
  }
}
