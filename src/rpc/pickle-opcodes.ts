// Pickle opcodes of protocols 0 to 5, and the layout of their operands. The decoder frames opcodes by this table alone, so
// that it can wait for the rest of an opcode without interpreting it.

export const OP = {
  MARK: 0x28,
  STOP: 0x2e,
  POP: 0x30,
  POP_MARK: 0x31,
  DUP: 0x32,
  FLOAT: 0x46,
  INT: 0x49,
  BININT: 0x4a,
  BININT1: 0x4b,
  LONG: 0x4c,
  BININT2: 0x4d,
  NONE: 0x4e,
  REDUCE: 0x52,
  STRING: 0x53,
  BINSTRING: 0x54,
  SHORT_BINSTRING: 0x55,
  UNICODE: 0x56,
  BINUNICODE: 0x58,
  APPEND: 0x61,
  BUILD: 0x62,
  GLOBAL: 0x63,
  DICT: 0x64,
  APPENDS: 0x65,
  GET: 0x67,
  BINGET: 0x68,
  INST: 0x69,
  LONG_BINGET: 0x6a,
  LIST: 0x6c,
  OBJ: 0x6f,
  PUT: 0x70,
  BINPUT: 0x71,
  LONG_BINPUT: 0x72,
  SETITEM: 0x73,
  TUPLE: 0x74,
  SETITEMS: 0x75,
  EMPTY_DICT: 0x7d,
  EMPTY_LIST: 0x5d,
  EMPTY_TUPLE: 0x29,
  BINFLOAT: 0x47,
  BINBYTES: 0x42,
  SHORT_BINBYTES: 0x43,
  PROTO: 0x80,
  NEWOBJ: 0x81,
  TUPLE1: 0x85,
  TUPLE2: 0x86,
  TUPLE3: 0x87,
  NEWTRUE: 0x88,
  NEWFALSE: 0x89,
  LONG1: 0x8a,
  LONG4: 0x8b,
  SHORT_BINUNICODE: 0x8c,
  BINUNICODE8: 0x8d,
  BINBYTES8: 0x8e,
  STACK_GLOBAL: 0x93,
  MEMOIZE: 0x94,
  FRAME: 0x95,
} as const;

/** Layout of an operand: 0 to 8 bytes, or a length field of 1, 4 or 8 bytes and that many bytes, or 1 or 2 text lines. */
export const COUNTED = 0x10;
export const LINES = 0x20;
export const UNKNOWN = 0xff;

/** Indexed by opcode: a number of bytes, `COUNTED | size of the length field`, `LINES | count`, or UNKNOWN. */
export const LAYOUT: Uint8Array = new Uint8Array(256).fill(UNKNOWN);

const LAYOUTS: readonly (readonly [layout: number, opcodes: readonly number[]])[] = [
  [
    0,
    [
      OP.MARK, OP.STOP, OP.POP, OP.POP_MARK, OP.DUP, OP.NONE, OP.REDUCE, OP.APPEND, OP.BUILD, OP.DICT, OP.APPENDS,
      OP.LIST, OP.OBJ, OP.SETITEM, OP.TUPLE, OP.SETITEMS, OP.EMPTY_DICT, OP.EMPTY_LIST, OP.EMPTY_TUPLE, OP.NEWOBJ,
      OP.TUPLE1, OP.TUPLE2, OP.TUPLE3, OP.NEWTRUE, OP.NEWFALSE, OP.STACK_GLOBAL, OP.MEMOIZE,
    ],
  ],
  [1, [OP.BININT1, OP.BINGET, OP.BINPUT, OP.PROTO]],
  [2, [OP.BININT2]],
  [4, [OP.BININT, OP.LONG_BINGET, OP.LONG_BINPUT]],
  [8, [OP.BINFLOAT, OP.FRAME]],
  [COUNTED | 1, [OP.SHORT_BINSTRING, OP.SHORT_BINBYTES, OP.SHORT_BINUNICODE, OP.LONG1]],
  [COUNTED | 4, [OP.BINSTRING, OP.BINUNICODE, OP.BINBYTES, OP.LONG4]],
  [COUNTED | 8, [OP.BINUNICODE8, OP.BINBYTES8]],
  [LINES | 1, [OP.FLOAT, OP.INT, OP.LONG, OP.STRING, OP.UNICODE, OP.GET, OP.PUT]],
  [LINES | 2, [OP.GLOBAL, OP.INST]],
];
for (const [layout, opcodes] of LAYOUTS) for (const opcode of opcodes) LAYOUT[opcode] = layout;
