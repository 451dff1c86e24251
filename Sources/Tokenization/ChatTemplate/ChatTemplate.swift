import Glibc

/// A model's chat template: Jinja text that turns messages into a prompt.
///
/// It reads a strict subset of Jinja, with the settings of Hugging Face's transformers: `trim_blocks` and
/// `lstrip_blocks` on, no autoescape, an immutable sandbox (so `list.append` is an error), loop controls, and
/// `raise_exception`, `strftime_now` and `tojson` as transformers define them. Statements: `if`, `for`, `set`,
/// `macro`, `call`, `filter`, `with`, `raw`, `break`, `continue`, `generation`. What it does not know, it names.
///
/// Templates come with model files, so they are not trusted: depth, work and output are bounded (`TemplateBudget`).
package struct ChatTemplate: Sendable {
  private let body: [TemplateStatement]
  private let clock: @Sendable () -> Int

  /// - Parameter clock: Seconds since 1970, for `strftime_now`, which prints local time.
  package init(
    source: String, clock: @escaping @Sendable () -> Int = { Int(time(nil)) }
  ) throws(TemplateError) {
    var lexer = TemplateLexer(source: source)
    var parser = TemplateParser(tokens: try lexer.tokens())
    body = try parser.template()
    self.clock = clock
  }

  /// - Parameter context: The template's variables.
  package func render(_ context: [String: TemplateValue]) throws(TemplateError) -> String {
    var evaluator = TemplateEvaluator(clock: clock)
    return try evaluator.render(body, context: context)
  }

  /// Renders a conversation under the names that transformers gives to its parts.
  ///
  /// - Parameters:
  ///   - messages: Objects with `role`, `content` and what else the client sent (`tool_calls`, `name`, …).
  ///   - bosToken, eosToken: The texts of these tokens; undefined in the template when nil.
  ///   - tools: The request's tools, as sent; `none` in the template when nil.
  ///   - extra: More variables (`chat_template_kwargs`); these win over all the others.
  package func render(
    messages: [TemplateValue], addGenerationPrompt: Bool, bosToken: String? = nil, eosToken: String? = nil,
    tools: [TemplateValue]? = nil, extra: [String: TemplateValue] = [:]
  ) throws(TemplateError) -> String {
    var context: [String: TemplateValue] = [
      "messages": .array(messages),
      "add_generation_prompt": .bool(addGenerationPrompt),
      "tools": tools.map(TemplateValue.array) ?? .none,
      "documents": .none,
    ]
    if let bosToken { context["bos_token"] = .string(bosToken) }
    if let eosToken { context["eos_token"] = .string(eosToken) }
    context.merge(extra) { _, extra in extra }
    return try render(context)
  }
}
