package distributedpool.model;

import java.util.List;
import java.util.Map;

/**
 * An error that a function threw, as its child saw it. It has at most 16 errors, the causes and the grouped ones included, of 40,960 characters together; the rest is left out.
 *
 * @param name The name of the error's class, such as `TypeError`.
 * @param message The message of the error.
 * @param stack The stack of the error; absent where there is none.
 * @param code The code of the error, such as `ECONNREFUSED`, where it has one; a number as decimal text.
 * @param cause A value like this one: `FunctionError`.
 * @param errors The errors that this one groups: `errors` of an `AggregateError`; `exceptions` of an `ExceptionGroup`.
 */
public record FunctionError(
    String name,
    String message,
    String stack,
    String code,
    Object cause,
    List<FunctionError> errors
) {}

