import Foundation
import Testing
import Tokenization

/// Against jinja2, with transformers' settings: whole templates over whole conversations.
struct ChatTemplateReferenceTests {
  let conversations: TemplateValue
  let reference: TemplateValue

  init() throws {
    conversations = try ChatTemplateFixtures.json("template_conversations.json")
    reference = try ChatTemplateFixtures.json("template_reference.json")
  }

  @Test func `Our templates render as in jinja2, byte for byte`() throws {
    let folder = ChatTemplateFixtures.folder.appending(path: "chat_templates")
    let templates = try #require(reference["ours"]).entries
    #expect(templates.count >= 2)
    for (name, cases) in templates {
      let template = try ChatTemplateFixtures.template(folder.appending(path: name))
      for (conversation, expected) in cases.entries {
        let context = try #require(conversations[conversation])
        expect(outcome(of: template, context), matches: expected, "\(name), \(conversation)")
      }
    }
  }

  @Test(.enabled(if: ChatTemplateFixtures.hasModels, "The publishers' templates are not here: set XPYD_CHAT_TEMPLATES"))
  func `The templates of 21 open models render as in jinja2`() throws {
    let templates = try #require(reference["models"]).entries
    #expect(templates.count >= 21)
    for (name, cases) in templates {
      let template = try ChatTemplateFixtures.template(ChatTemplateFixtures.modelsFolder.appending(path: name))
      for (conversation, expected) in cases.entries {
        let context = try #require(conversations[conversation])
        expect(outcome(of: template, context), matches: expected, "\(name), \(conversation)")
      }
    }
  }

  @Test func `Each construct renders as in jinja2, or fails where it does`() throws {
    let file = try ChatTemplateFixtures.json("template_constructs.json")
    let context = try #require(file["context"])
    let cases = try #require(file["cases"]).elements
    #expect(cases.count > 200)
    for construct in cases {
      let source = try #require(construct["template"]?.text)
      let outcome: Result<String, TemplateError>
      do {
        outcome = self.outcome(of: try ChatTemplateFixtures.template(source), context)
      } catch {
        outcome = .failure(error)
      }
      expect(outcome, matches: construct, source)
    }
  }

  private func outcome(of template: ChatTemplate, _ context: TemplateValue) -> Result<String, TemplateError> {
    do {
      return .success(try template.render(context.variables))
    } catch {
      return .failure(error)
    }
  }

  private func expect(
    _ outcome: Result<String, TemplateError>, matches expected: TemplateValue, _ comment: String
  ) {
    switch outcome {
    case .success(let output):
      if let text = expected["output"]?.text {
        #expect(output.utf8.elementsEqual(text.utf8), "\(comment): \(output) instead of \(text)")
      } else {
        #expect(ChatTemplateFixtures.fnv1a(output) == expected["fnv1a"]?.text, "\(comment): \(output) \(expected)")
      }
    case .failure(.raised(let message)):
      #expect(message == expected["raised"]?.text, "\(comment)")
    case .failure(let error):
      #expect(expected["error"] != nil, "\(comment): \(error)")
    }
  }
}
