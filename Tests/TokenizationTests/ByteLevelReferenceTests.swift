import Foundation
import Testing
import Tokenization

/// `Fixtures/byte_level.jsonl`: many scripts, white space, digits, contractions and special tokens, as Hugging Face's
/// tokenizers cut and encode them (`Fixtures/make_reference.py`).
@Suite struct ByteLevelReferenceTests {
  struct Line {
    var text: String
    /// One for each of `preTokenizers`: hash of the words, of the ids, and of the ids with special tokens parsed.
    var hashes: [[Substring]]
  }

  static let preTokenizers: [PreTokenizer] = [.gpt2, .smolLM, .llama3, .qwen2]
  static let lines = Result { try fixture("byte_level.jsonl").split(separator: UInt8(ascii: "\n")).map(line(of:)) }

  private static func line(of json: Data) throws -> Line {
    var columns = try JSONDecoder().decode([String].self, from: json)
    for index in columns.indices.dropFirst() where columns[index].isEmpty { columns[index] = columns[index - 1] }
    return Line(text: columns[0], hashes: columns.dropFirst().map { $0.split(separator: " ") })
  }

  @Test(arguments: preTokenizers.indices)
  func `Words are those of the regular expression`(column: Int) throws {
    let lines = try Self.lines.get()
    #expect(lines.count == 2600)
    for line in lines {
      let words = wordByteCounts(of: line.text, Self.preTokenizers[column])
      #expect(hash(words) == line.hashes[column][0], "\(line.text.debugDescription) is cut into \(words) bytes")
    }
  }

  @Test(arguments: preTokenizers.indices)
  func `Ids are those of the reference`(column: Int) throws {
    let tokenizer = try ReferenceTokenizers.tokenizer(Self.preTokenizers[column])
    for line in try Self.lines.get() {
      for (parseSpecial, expected) in [(false, line.hashes[column][1]), (true, line.hashes[column].last)] {
        let ids = tokenizer.encode(line.text, addSpecial: false, parseSpecial: parseSpecial)
        #expect(hash(ids.map(Int.init)) == expected, "\(line.text.debugDescription) has \(ids)")
      }
    }
  }
}

func wordByteCounts(of text: String, _ preTokenizer: PreTokenizer) -> [Int] {
  var text = text
  return text.withUTF8 { text in
    let scanner = WordScanner(text, rules: preTokenizer)
    var (counts, start) = ([Int](), 0)
    while start < text.count {
      let end = scanner.endOfWord(from: start)
      counts.append(end - start)
      start = end
    }
    return counts
  }
}

/// FNV-1a, 32 bits, over the numbers as 32-bit little-endian words: `fnv` of make_reference.py.
func hash(_ numbers: [Int]) -> Substring {
  var hash: UInt32 = 0x811C_9DC5
  for number in numbers {
    withUnsafeBytes(of: UInt32(number).littleEndian) { bytes in
      for byte in bytes { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
    }
  }
  let digits = String(hash, radix: 16)
  return String(repeating: "0", count: 8 - digits.count) + digits[...]
}
