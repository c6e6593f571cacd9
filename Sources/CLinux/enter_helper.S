/* SPDX-License-Identifier: Apache-2.0 */

// The program that enters a guest's namespaces: makes the system calls of a list, one after the other.
//
// An entry of the list is thirteen words: the call's number, its six arguments, the errors that are no failure (up to
// eight, a byte each, lowest first), where the result is stored (0 for nowhere), the entry to go on with when the result
// is above zero (0 for the next), a word that says in a report which entry it was, and an error (0 for none) with the
// entry to go on with after it. A failure is reported on descriptor 3 as two words, error and the entry's word, and ends
// the program with status 127.
//
// The number -1 executes what this program was given as its arguments, with its environment.
//
// It is machine code and not C because it runs where a guest may look at it: nothing of the host's program, of a
// library or of a heap is in its memory.

#if defined(__linux__)

    .section .rodata
    .globl clinux_enter_begin
    .hidden clinux_enter_begin
    .globl clinux_enter_end
    .hidden clinux_enter_end
    .balign 16
clinux_enter_begin:

#if defined(__x86_64__)
    movq %rsp, %r12
    movl $0x500000, %ebx
1:  movq (%rbx), %rax
    cmpq $-1, %rax
    je 8f
    movq 8(%rbx), %rdi
    movq 16(%rbx), %rsi
    movq 24(%rbx), %rdx
    movq 32(%rbx), %r10
    movq 40(%rbx), %r8
    movq 48(%rbx), %r9
    syscall
    cmpq $-4095, %rax
    jae 4f
    movq 64(%rbx), %rcx
    testq %rcx, %rcx
    jz 2f
    movq %rax, (%rcx)
2:  testq %rax, %rax
    jz 3f
    movq 72(%rbx), %rcx
    testq %rcx, %rcx
    jz 3f
    movq %rcx, %rbx
    jmp 1b
3:  addq $104, %rbx
    jmp 1b
4:  negq %rax
    cmpq 88(%rbx), %rax
    jne 5f
    movq 96(%rbx), %rbx
    jmp 1b
5:  movq 56(%rbx), %rcx
6:  testq %rcx, %rcx
    jz 7f
    movzbl %cl, %edx
    cmpq %rdx, %rax
    je 3b
    shrq $8, %rcx
    jmp 6b
7:  movl $0x600000, %esi
    movq %rax, (%rsi)
    movq 80(%rbx), %rcx
    movq %rcx, 8(%rsi)
    movl $3, %edi
    movl $16, %edx
    movl $1, %eax
    syscall
    movl $127, %edi
    movl $231, %eax
    syscall
8:  movq 16(%r12), %rdi
    leaq 16(%r12), %rsi
    movq (%r12), %rax
    leaq 16(%r12,%rax,8), %rdx
    movl $59, %eax
    syscall
    jmp 4b
#elif defined(__aarch64__)
    mov x20, sp
    movz x19, #0x50, lsl #16
1:  ldr x8, [x19]
    cmn x8, #1
    b.eq 8f
    ldp x0, x1, [x19, #8]
    ldp x2, x3, [x19, #24]
    ldp x4, x5, [x19, #40]
    svc #0
    cmn x0, #4095
    b.cs 4f
    ldr x9, [x19, #64]
    cbz x9, 2f
    str x0, [x9]
2:  cbz x0, 3f
    ldr x9, [x19, #72]
    cbz x9, 3f
    mov x19, x9
    b 1b
3:  add x19, x19, #104
    b 1b
4:  neg x0, x0
    ldr x9, [x19, #88]
    cmp x0, x9
    b.ne 5f
    ldr x19, [x19, #96]
    b 1b
5:  ldr x9, [x19, #56]
6:  cbz x9, 7f
    and x10, x9, #0xff
    cmp x0, x10
    b.eq 3b
    lsr x9, x9, #8
    b 6b
7:  movz x1, #0x60, lsl #16
    str x0, [x1]
    ldr x9, [x19, #80]
    str x9, [x1, #8]
    mov x0, #3
    mov x2, #16
    mov x8, #64
    svc #0
    mov x0, #127
    mov x8, #94
    svc #0
8:  ldr x0, [x20, #16]
    add x1, x20, #16
    ldr x9, [x20]
    add x2, x1, x9, lsl #3
    mov x8, #221
    svc #0
    b 4b
#else
#error "no machine code for this architecture"
#endif

clinux_enter_end:

    .section .note.GNU-stack, "", %progbits
#endif
