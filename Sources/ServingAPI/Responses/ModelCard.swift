/// One entry of `/v1/models`.
package struct ModelCard: Sendable {
  package var id: String
  package var created: Int
  /// Where the model's file is.
  package var root: String
  package var maxModelLength: Int

  package init(id: String, created: Int, root: String, maxModelLength: Int) {
    self.id = id
    self.created = created
    self.root = root
    self.maxModelLength = maxModelLength
  }

  package var json: BodyValue {
    [
      "id": .string(id), "object": "model", "created": BodyValue(created), "owned_by": "xpyd", "root": .string(root),
      "parent": nil, "max_model_len": BodyValue(maxModelLength),
      "permission": [
        [
          "id": .string("modelperm-\(id)"), "object": "model_permission", "created": BodyValue(created),
          "allow_create_engine": false, "allow_sampling": true, "allow_logprobs": true,
          "allow_search_indices": false, "allow_view": true, "allow_fine_tuning": false, "organization": "*",
          "group": nil, "is_blocking": false,
        ]
      ],
    ]
  }

  package static func list(_ cards: [ModelCard]) -> BodyValue {
    ["object": "list", "data": .array(cards.map(\.json))]
  }
}
